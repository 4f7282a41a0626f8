/**
 * Soaks what surrounds a pair: every half minute one fault, at random, of the disks, processes,
 * files, clock or processors around a node, and then healed. The guest works all the time. After
 * each fault the machine must be protected again within 30 s, the same machine as before, nothing
 * of what it has acknowledged lost or doubled; and the fault must have been seen in the status and
 * in the log of a node while it lasted.
 *
 *   npm run soak -- surroundings [--minutes 10] [--starved] [--seed N] [--every 30]
 *                               [--only FAULT]... [--json]
 *
 * `--starved`: both nodes and their machines at idle priority, beside programs that compute in
 * bursts and one that keeps a disk busy; `--every`: seconds between two faults; `--only`: that
 * fault alone, or those. The faults: `surroundings/faults.ts`. The same seed brings the same faults
 * in the same order. What it judges: docs/operations.md.
 */
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { asError, UnderstudyError } from '../../src/base/errors.ts';
import { exitCodes } from '../../src/cli/exit.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import { Progress } from '../../src/text/progress.ts';
import { readArguments, type SoakArguments } from './surroundings/arguments.ts';
import { kindOf } from './surroundings/faults.ts';
import { Hogs } from './surroundings/hogs.ts';
import { SoakPair } from './surroundings/pair.ts';
import { schedule } from './surroundings/schedule.ts';
import { canMount } from './surroundings/small-disk.ts';
import { Soak } from './surroundings/soak.ts';
import {
  allKept,
  type SoakResult,
  soakPromises,
  summaryOf,
  summaryTable,
  type Trial,
  trialLine,
} from './surroundings/summary.ts';
import { BootWatch, Timeline } from './surroundings/watch.ts';

const progress = new Progress(process.stderr);

/** File systems are mounted, and processes are stopped: the first Ctrl-C undoes all that. */
const end = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end.abort());

function sayJson(object: object): void {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}

async function soak(args: SoakArguments, dir: string): Promise<SoakResult> {
  const { seed, minutes, everyMs, isStarved } = args;
  const timeline = new Timeline(path.join(dir, 'timeline.log'));
  const world = await openWorld();
  let pair: SoakPair | undefined;
  let hogs: Hogs | undefined;
  let running: Soak | undefined;
  const boots = new BootWatch();
  try {
    pair = await SoakPair.open({
      ...{ world, dir, isStarved },
      onLook: (node, status) => {
        timeline.look(node, status);
        if (boots.look(node, status) && running !== undefined) running.boots += 1;
        running?.watch?.look(node, status);
      },
      onEvent: (node, event) => {
        timeline.event(node, event);
        running?.watch?.event(node, event);
        if (event.type === 'takeover' && running !== undefined) running.takeovers += 1;
      },
      onEnd: (node, code) => running?.find(`node ${node} has ended by itself, with ${code}`),
    });
    running = new Soak({
      ...{ world, pair, seed, timeline, progress, everyMs },
      plan: schedule(seed, possible(args)),
      soakMs: minutes * 60_000,
      onTrial: (trial) => tell(trial, args),
      signal: end.signal,
    });
    if (isStarved) hogs = Hogs.lasting(dir);
    return await running.run();
  } finally {
    hogs?.end();
    await pair?.close();
    await world.close();
  }
}

/** Without the rights to mount, without the faults that need a file system of their own. */
function possible({ only }: SoakArguments): SoakArguments['only'] {
  if (canMount) return only;
  const left = only.filter((name) => kindOf(name).needsMount === undefined);
  for (const name of only) {
    if (!left.includes(name)) progress.event(`left out, only root can mount: ${name}`);
  }
  if (left.length > 0) return left;
  throw new UnderstudyError('rights', 'Only root can mount what these faults need', {
    hint: 'run the soak as root, or with other faults',
  });
}

function tell(trial: Trial, { json }: SoakArguments): void {
  progress.event(trialLine(trial));
  if (json) sayJson({ ...trial, planned: undefined, fault: trial.planned });
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2), randomInt(2 ** 32));
  progress.event(`seed ${args.seed}`);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-soak-'));
  let isGood = false;
  try {
    const result = await soak(args, dir);
    isGood = allKept(result);
    progress.end();
    if (args.json) {
      const { seed, findings, outside } = result;
      sayJson({ seed, promises: soakPromises(result), findings, outside });
      sayJson(summaryOf(result));
    } else {
      process.stdout.write(summaryTable(result));
    }
    process.exitCode = isGood ? exitCodes.ok : exitCodes.failed;
  } finally {
    if (isGood) fs.rmSync(dir, { recursive: true, force: true });
    else progress.event(`logs and timeline are kept in ${dir}`);
  }
}

try {
  await main();
} catch (thrown) {
  progress.end();
  const isKnown = thrown instanceof UnderstudyError;
  const text = isKnown ? thrown.describe() : asError(thrown).stack;
  process.stderr.write(`${end.signal.aborted ? 'the soak was told to end' : text}\n`);
  process.exitCode = isKnown ? exitCodeOf(thrown) : exitCodes.failed;
}

function exitCodeOf({ code }: UnderstudyError): number {
  if (code === 'config') return exitCodes.usage;
  return ['environment', 'rights', 'resources'].includes(code)
    ? exitCodes.environment
    : exitCodes.failed;
}
