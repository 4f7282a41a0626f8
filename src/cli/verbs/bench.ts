/** Measures what protection costs on this machine. */
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { runBench } from '../../bench/measure/run.ts';
import { goalsOf } from '../../bench/report/goals.ts';
import { renderHtml } from '../../bench/report/html.ts';
import { openWorld } from '../../lab/open-world.ts';
import { Progress } from '../../text/progress.ts';
import { printResults, writeWhole } from './bench-results.ts';

export interface BenchOptions {
  readonly quick?: boolean;
  readonly out: string;
  readonly json?: boolean;
  readonly world: 'auto' | 'netns' | 'passt';
}

/** Exit 1 when it is interrupted. Throws `rights` when there is no place for the results. */
export async function bench(options: BenchOptions): Promise<void> {
  const { quick = false, out, json = false, world: kind } = options;
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
    writeWhole(path.join(out, 'results.json'), `${JSON.stringify(whole, undefined, 1)}\n`);
    writeWhole(path.join(out, 'report.html'), renderHtml(results));
    if (json) {
      process.stdout.write(`${JSON.stringify(whole)}\n`);
      return;
    }
    printResults(results);
    process.stdout.write(`\nThe report: ${path.join(out, 'report.html')}\n`);
  } finally {
    progress.end();
    await world.close();
  }
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
