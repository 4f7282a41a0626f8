/** Takes sets of a group, and looks after those that were taken. */
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import { GroupCoordinator } from '../../group/coordinator.ts';
import { type GroupConfig, loadGroup } from '../../group/group-file.ts';
import { type GroupSet, Sets } from '../../group/sets.ts';
import { verifySet } from '../../group/verify.ts';
import { duration } from '../../node/pair-file/pair-amounts.ts';
import { Progress } from '../../text/progress.ts';
import { formatMs } from '../../text/units.ts';
import { exitCodes } from '../exit.ts';
import type {
  GroupOptions,
  RestartGroupOptions,
  RestoreGroupOptions,
  RunGroupOptions,
  VerifyGroupOptions,
} from '../group-options.ts';
import { restartGroup } from './group-restart.ts';
import { restoreSet } from './group-restore.ts';
import { print } from './print.ts';

/** Throws `cut` with the member that could not, and why. */
export async function take({ group, json }: GroupOptions): Promise<void> {
  const set = await new GroupCoordinator(loadGroup(group), warn).take();
  print(json, set, `${set.set} ${heldText(set)}`);
}

/** A set that cannot be taken is told, and the next one is tried when it is due. */
export async function run({ group, every, json }: RunGroupOptions): Promise<void> {
  const config = loadGroup(group);
  const everyMs = every === undefined ? config.everyMs : everyOf(every);
  if (everyMs === undefined) {
    throw new UnderstudyError('config', `Group file '${group}' does not say how often`, {
      hint: 'add `every: 10s` to it, or give --every',
    });
  }
  const coordinator = new GroupCoordinator(config, warn);
  const end = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end.abort());
  while (!end.signal.aborted) {
    const begun = performance.now();
    await coordinator.take().then(
      (set) => print(json, { type: 'set', ...set }, `${set.set} ${heldText(set)}`),
      (thrown: unknown) => {
        const reason = reasonOf(thrown);
        print(json, { type: 'noSet', reason }, reason);
      },
    );
    const leftMs = Math.max(0, everyMs - (performance.now() - begun));
    await sleep(leftMs, undefined, { signal: end.signal }).catch(() => undefined);
  }
}

function everyOf(text: string): number {
  const ms = duration(text);
  if (ms >= 1_000) return ms;
  throw new UnderstudyError('config', `--every must be at least 1s: current value is ${text}`);
}

/** Oldest first; of damaged ones only that. */
export async function list({ group, json }: GroupOptions): Promise<void> {
  const { sets, damaged } = setsOf(loadGroup(group)).list();
  for (const set of sets) print(json, set, `${set.set}  ${set.group}  ${heldText(set)}`);
  for (const set of damaged) print(json, { set, damaged: true }, `${set}  DAMAGED`);
}

/** Throws `store` when there is none of this name, or it is damaged. */
export async function show(id: string, { group, json }: GroupOptions): Promise<void> {
  const set = setsOf(loadGroup(group)).read(id);
  const lines = Object.entries(set.members).map(
    ([name, { pair, snapshot, term, epoch, icount, heldMs }]) =>
      `  ${name}: pair ${pair}, snapshot ${snapshot}, then to epoch ${epoch} of term ${term} ` +
      `(icount ${icount}); held for ${formatMs(heldMs)}`,
  );
  const head = `${set.set} of ${set.group}, taken at ${new Date(set.takenAtMs).toISOString()}`;
  print(json, set, [head, ...lines].join('\n'));
}

/** Exit 1 when one of them cannot be restored. */
export async function verify(
  id: string | undefined,
  { group, deep = false, json }: VerifyGroupOptions,
): Promise<void> {
  const sets = setsOf(loadGroup(group));
  const { sets: all, damaged } = id === undefined ? sets.list() : { sets: [], damaged: [] };
  const wanted = id === undefined ? all : [sets.read(id)];
  const progress = new Progress(process.stderr);
  let isWell = damaged.length === 0;
  for (const set of damaged) {
    print(json, { set, problems: ['its file is damaged'] }, `${set}: its file is damaged`);
  }
  for (const set of wanted) {
    progress.status(`checking ${set.set}`);
    const problems = await verifySet(set, { deep });
    isWell &&= problems.length === 0;
    const told = problems.length === 0 ? 'all is well' : problems.join('; ');
    print(json, { set: set.set, problems }, `${set.set}: ${told}`);
  }
  progress.end();
  if (!isWell) process.exitCode = exitCodes.failed;
}

/** Runs the machines in the foreground, when they are to be started. */
export async function restore(id: string | undefined, options: RestoreGroupOptions): Promise<void> {
  const config = loadGroup(options.group);
  const sets = setsOf(config);
  const newest = sets.list().sets.findLast(({ group }) => group === config.name)?.set;
  const wanted = id ?? newest;
  if (wanted === undefined) {
    throw new UnderstudyError('store', `There is no set of group '${config.name}'`, {
      hint: 'take one with `understudy group take`',
    });
  }
  await restoreSet(sets.read(wanted), options);
}

/** Runs the machines in the foreground, when they are to be started. */
export async function restart(options: RestartGroupOptions): Promise<void> {
  await restartGroup(loadGroup(options.group), options);
}

/** Throws `store` when there is none of this name. */
export async function remove(ids: readonly string[], options: GroupOptions): Promise<void> {
  const coordinator = new GroupCoordinator(loadGroup(options.group), warn);
  for (const id of ids) coordinator.sets.read(id); // all of them, or none
  for (const id of ids) await coordinator.remove(id);
  print(options.json, { removed: ids }, `removed ${ids.length}`);
}

const setsOf = ({ sets }: GroupConfig): Sets => new Sets(sets);

function heldText({ members }: GroupSet): string {
  const held = Object.values(members).map(({ heldMs }) => heldMs);
  return `${held.length} members, held for ${formatMs(Math.max(...held))} at most`;
}

function warn(text: string): void {
  process.stderr.write(`understudy: ${text}\n`);
}
