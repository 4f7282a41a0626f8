/** `understudy bench`: what protection costs on this machine, and every other promise, side by side. */
import fs from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { asError, UnderstudyError } from '../base/errors.ts';
import { runBench } from '../bench/measure/run.ts';
import { compareResults } from '../bench/report/compare.ts';
import { comparisonTable } from '../bench/report/compare-table.ts';
import { goalsOf } from '../bench/report/goals.ts';
import { renderHtml } from '../bench/report/html.ts';
import { loadResults } from '../bench/report/load.ts';
import { readmeTable, replaceReadmeTable } from '../bench/report/readme.ts';
import { resultsTable } from '../bench/report/table.ts';
import type { BenchResults } from '../bench/results.ts';
import { openWorld } from '../demo/open-world.ts';
import { Progress } from '../demo/progress.ts';
import { wantsColour } from '../demo/style.ts';

interface RunOptions {
  readonly quick?: boolean;
  readonly out: string;
  readonly json?: boolean;
  readonly world: 'auto' | 'netns' | 'passt';
}

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure what protection costs on this machine, against bare execution')
    .option('--quick', 'five minutes instead of forty, with fewer runs')
    .option('--out <dir>', 'where results.json and report.html go', 'bench-results')
    .option('--world <kind>', 'auto, netns or passt', 'auto')
    .option('--json', 'print the results and the goals as one JSON object, the last line')
    .action(run)
    .addCommand(compareCommand())
    .addCommand(reportCommand());
}

function compareCommand(): Command {
  return new Command('compare')
    .description('what got better or worse between two runs, beyond their noise')
    .argument('<before>', 'results.json of a run')
    .argument('<after>', 'results.json of another one')
    .option('--json', 'one JSON object')
    .action((before: string, after: string, { json = false }: { json?: boolean }) => {
      const comparison = compareResults(loadResults(before), loadResults(after));
      if (json) process.stdout.write(`${JSON.stringify(comparison)}\n`);
      else {
        const coloured = wantsColour(process.stdout);
        process.stdout.write(comparisonTable(comparison, { coloured }));
      }
    });
}

function reportCommand(): Command {
  return new Command('report')
    .description('show the results of an earlier run')
    .argument('<results>', 'results.json of a run')
    .option('--html <file>', 'write the report as one HTML file')
    .option('--readme <file>', 'put the table of figures between the markers in this file')
    .action((file: string, { html, readme }: { html?: string; readme?: string }) => {
      const results = loadResults(file);
      if (html !== undefined) write(html, renderHtml(results));
      if (readme !== undefined) {
        write(readme, replaceReadmeTable(read(readme), readmeTable(results)));
      }
      if (html === undefined && readme === undefined) print(results);
    });
}

async function run({ quick = false, out, json = false, world: kind }: RunOptions): Promise<void> {
  // An hour of figures is not to end at a folder that cannot be written.
  makeFolder(out);
  const progress = new Progress(process.stderr);
  const world = await openWorld({ kind });
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => resolve('interrupted'));
    }
  });
  try {
    const running = runBench({
      mode: quick ? 'quick' : 'full',
      world,
      tell: (text) => progress.event(text),
      status: (text) => progress.status(text),
    });
    const results = await Promise.race([running, interrupted]);
    progress.end();
    if (results === 'interrupted') {
      running.catch(() => undefined); // its machines end with this process
      process.exitCode = 1;
      return;
    }
    const whole = { ...results, goals: goalsOf(results) };
    write(path.join(out, 'results.json'), `${JSON.stringify(whole, undefined, 1)}\n`);
    write(path.join(out, 'report.html'), renderHtml(results));
    print(results);
    process.stdout.write(`\nThe report: ${path.join(out, 'report.html')}\n`);
    if (json) process.stdout.write(`${JSON.stringify(whole)}\n`);
  } finally {
    progress.end();
    await world.close();
  }
}

function print(results: BenchResults): void {
  process.stdout.write(resultsTable(results, { coloured: wantsColour(process.stdout) }));
}

function makeFolder(dir: string): void {
  try {
    fs.mkdirSync(dir, { recursive: true });
    fs.accessSync(dir, fs.constants.W_OK);
  } catch (thrown) {
    throw new UnderstudyError('rights', `Cannot write to '${dir}'`, {
      cause: asError(thrown),
      hint: 'give another folder with --out',
    });
  }
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read '${file}'`, { cause: asError(thrown) });
  }
}

/** All or nothing: a file that was there is whole until the new one is. */
function write(file: string, text: string): void {
  const partial = `${file}.new`;
  try {
    fs.writeFileSync(partial, text);
    fs.renameSync(partial, file);
  } catch (thrown) {
    fs.rmSync(partial, { force: true });
    throw new UnderstudyError('rights', `Cannot write '${file}'`, {
      cause: asError(thrown),
      hint: 'check its folder and the space there',
    });
  }
}
