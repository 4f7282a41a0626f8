/**
 * Soaks a container that is kept as a machine: its command counts in memory and in a file, it is
 * kept at least once a second for a minute, and of each snapshot it is looked whether memory and
 * disk are of one moment. The process that copies to the second store is killed in the middle.
 *
 *   npm run soak -- container [--snapshots 100] [--rounds 4] [--json]
 *
 * `--snapshots`: how many are examined; `--rounds`: of two stretches of 12 s, with 15 snapshots a
 * minute and without any, for what they cost. Needs root, mke2fs, debugfs and cpio. What it prints:
 * docs/containers.md.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { livingOwned } from '../../src/host/processes.ts';
import { whileOpen } from '../../src/store/while-open.ts';
import { Progress } from '../../src/text/progress.ts';
import { CountingMachine } from './container/counting-machine.ts';
import { countsIn, isOneMoment } from './container/examine.ts';
import { keeping, measureCost } from './container/pace.ts';
import { parsedOr, wholeWithin } from './options.ts';

const { values } = parsedOr('npm run soak -- container [--snapshots 100] [--rounds 4]', () =>
  parseArgs({
    options: {
      snapshots: { type: 'string', default: '100' },
      rounds: { type: 'string', default: '4' },
      json: { type: 'boolean', default: false },
    },
  }),
);
const wanted = wholeWithin('snapshots', values.snapshots, 1000, 1);
const rounds = wholeWithin('rounds', values.rounds, 100, 1);
const progress = new Progress(process.stderr);
const stretchMs = 12_000;
const minuteMs = 60_000;
/** The copy is behind by some snapshots at the end of that minute. */
const copiedMs = 120_000;

interface Figures {
  /** Snapshots that were asked for once a second, and taken. */
  readonly perMinute: number;
  readonly checked: number;
  /** Of those: memory and disk are not of one moment. */
  readonly inconsistent: number;
  readonly lossPercent: number;
  readonly lossBetweenPercent: number;
  /** Times that the process that copies was killed, and what was wrong with what it had copied. */
  readonly copierKills: number;
  readonly copied: number;
  readonly notCopied: number;
  readonly damaged: number;
}

async function soak(): Promise<Figures> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-container-soak-'));
  let machine: CountingMachine | undefined;
  try {
    progress.status('making the machine');
    machine = await CountingMachine.start(dir);
    // The first snapshot of a copy is the whole machine.
    await keeping(machine, 1_000, 5_000);
    progress.status('what it costs');
    const cost = await measureCost(machine, { rounds, stretchMs });
    progress.status('a minute with as many as there can be');
    const killing = killCopier(machine);
    const ids: string[] = (await keeping(machine, 900, minuteMs)).kept.slice();
    const copierKills = await killing;
    const perMinute = ids.length;
    while (ids.length < wanted) ids.push(...(await keeping(machine, 500, 5_000)).kept);
    const { copied, notCopied, damaged } = await lookAtCopies(machine);
    await machine.close();
    const { checked, inconsistent } = await examine(machine.store, ids.slice(-wanted), dir);
    return { perMinute, checked, inconsistent, ...cost, copierKills, copied, notCopied, damaged };
  } finally {
    progress.end();
    await machine?.close();
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** Again and again while it has something to do. Returns how often. */
async function killCopier({ backup }: CountingMachine): Promise<number> {
  let kills = 0;
  for (let wait = 0; wait < 5; wait += 1) {
    await sleep(minuteMs / 6);
    for (const { pid } of livingOwned(path.join(path.dirname(backup.control), 'copying'))) {
      process.kill(pid, 'SIGKILL');
      kills += 1;
    }
  }
  return kills;
}

/** Waits until nothing is missing in the second store, or for too long; reads all of both. */
async function lookAtCopies({ store, second }: CountingMachine) {
  const idsIn = (directory: string): Promise<string[]> =>
    whileOpen(directory, 'read', async (opened) => (await opened.list()).map(({ id }) => id));
  const deadline = performance.now() + copiedMs;
  let missing: string[];
  let copied: string[];
  do {
    await sleep(1_000);
    const there = await idsIn(second);
    copied = there;
    missing = (await idsIn(store)).filter((id) => !there.includes(id));
    progress.status(`${missing.length} snapshots are to be copied`);
  } while (missing.length > 0 && performance.now() < deadline);
  let damaged = 0;
  for (const directory of [store, second]) {
    const report = await whileOpen(directory, 'read', (opened) => opened.verify());
    damaged += report.damaged.length;
  }
  return { copied: copied.length, notCopied: missing.length, damaged };
}

async function examine(
  store: string,
  ids: readonly string[],
  dir: string,
): Promise<{ readonly checked: number; readonly inconsistent: number }> {
  let inconsistent = 0;
  await whileOpen(store, 'read', async (opened) => {
    for (const [index, id] of ids.entries()) {
      progress.status(`${index + 1} of ${ids.length} snapshots`);
      const counts = await countsIn(opened, id, dir);
      if (isOneMoment(counts)) continue;
      inconsistent += 1;
      progress.event(`${id}: ${counts.memory} in memory, ${counts.disk} on the disk`);
    }
  });
  return { checked: ids.length, inconsistent };
}

const figures = await soak();
const { inconsistent, checked, notCopied, damaged } = figures;
if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
else {
  process.stdout.write(
    [
      `${figures.perMinute} snapshots in a minute; ${inconsistent} of ${checked} not of one moment`,
      `${figures.lossPercent.toFixed(1)} % fewer instructions at 15 a minute, ${figures.lossBetweenPercent.toFixed(1)} % between them`,
      `copier killed ${figures.copierKills} times: ${figures.copied} copied, ${notCopied} missing, ${damaged} damaged`,
      '',
    ].join('\n'),
  );
}
process.exitCode = inconsistent + notCopied + damaged === 0 ? 0 : 1;
