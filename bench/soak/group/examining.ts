/** What past states of a bank hold: its journals, off the disks of machines that are restored. */
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../../src/base/errors.ts';
import type { NodeStatus } from '../../../src/node/control-server.ts';
import { loadPairConfig } from '../../../src/node/pair-file/pair-config.ts';
import { askNode } from '../../../src/observe/control-client.ts';
import { diskImage } from '../../../src/ports/snapshot-store.ts';
import { preparedPaths } from '../../../src/restore/prepared.ts';
import { whileOpen } from '../../../src/store/while-open.ts';
import { drain } from './bank.ts';
import { journalOnDisk } from './disk-journal.ts';
import type { Journal } from './journal.ts';
import { GroupVerb } from './verbs.ts';

export interface Place {
  readonly groupFile: string;
  /** Names of the members, in the order of their places. */
  readonly members: readonly string[];
  /** Directory for what is made here. */
  readonly scratch: string;
}

/** A restored machine works so long, before its transfers are ended. */
const workMs = 5_000;
const startMs = 120_000;
const pollMs = 100;
/** The node of a restored pair. */
const node = 'a';
const disk = 'data';

/** Of a set: every member is executed to its line, and stands. */
export async function journalsOfSet(set: string, place: Place): Promise<Journal[]> {
  const out = path.join(place.scratch, set);
  try {
    const verb = new GroupVerb([...restoreArgs(set, out, place), '--no-start']);
    const { code, stderr } = await verb.ended;
    if (code !== 0) throw notRestored(set, stderr);
    return await journalsIn(out, place);
  } finally {
    fs.rmSync(out, { recursive: true, force: true });
  }
}

/** Of snapshots as they are, one of each member. */
export async function journalsOfSnapshots(
  ids: readonly string[],
  stores: readonly string[],
  { scratch }: Place,
): Promise<Journal[]> {
  const journals: Journal[] = [];
  for (const [index, store] of stores.entries()) {
    const image = path.join(scratch, `${ids[index]}.raw`);
    try {
      await whileOpen(store, 'read', async (open) =>
        (await open.open(ids[index] ?? '')).materialize(diskImage(disk), image),
      );
      journals.push(await journalOnDisk(image));
    } finally {
      fs.rmSync(image, { force: true });
    }
  }
  return journals;
}

/**
 * Of a set whose machines went on together, until all that was on its way had arrived. `egress`:
 * where each speaks.
 */
export async function journalsGoneOn(
  set: string,
  egress: readonly string[],
  place: Place,
): Promise<Journal[]> {
  const out = path.join(place.scratch, 'again');
  const speaking = place.members.flatMap((name, index) => [
    '--egress',
    `${name}=${egress[index] ?? 'none'}`,
  ]);
  const verb = new GroupVerb([...restoreArgs(set, out, place), ...speaking]);
  let isEnded = false;
  const ended = verb.ended.finally(() => {
    isEnded = true;
  });
  const runDirs: string[] = [];
  try {
    const controls: string[] = [];
    const deadline = performance.now() + startMs;
    for (const name of place.members) {
      const pairFile = path.join(out, name, 'pair.yaml');
      while (!fs.existsSync(pairFile) && !isEnded) await sleep(pollMs);
      if (isEnded) throw notRestored(set, (await ended).stderr);
      const { runDir } = loadPairConfig(pairFile, node).self;
      runDirs.push(runDir);
      controls.push(path.join(runDir, 'control'));
    }
    for (const control of controls) await untilAlone(control, deadline);
    await sleep(workMs);
    await drain(controls);
    verb.kill('SIGTERM');
    await ended;
    return await journalsIn(out, place);
  } finally {
    verb.kill('SIGTERM');
    await ended;
    for (const dir of [out, ...runDirs]) fs.rmSync(dir, { recursive: true, force: true });
  }
}

const restoreArgs = (set: string, out: string, { groupFile }: Place): string[] => [
  ...['restore', set, '--group', groupFile, '--out', out, '--as', 'again', '--json'],
];

async function journalsIn(out: string, { members }: Place): Promise<Journal[]> {
  const journals: Journal[] = [];
  for (const name of members) {
    journals.push(await journalOnDisk(preparedPaths(path.join(out, name)).disk(disk)));
  }
  return journals;
}

async function untilAlone(control: string, deadline: number): Promise<void> {
  while (performance.now() < deadline) {
    const status = await askNode<NodeStatus>(control, 'status').catch(() => undefined);
    if (status?.state === 'alone') return;
    await sleep(pollMs);
  }
  throw new UnderstudyError('environment', 'A machine of a set did not go on', {
    cause: new Error(`'${control}' does not say that it is alone`),
  });
}

const notRestored = (set: string, stderr: string): UnderstudyError =>
  new UnderstudyError('store', `Set ${set} was not restored`, { cause: new Error(stderr.trim()) });
