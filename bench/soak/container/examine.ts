/** What a kept machine has counted: in its memory, and in the file on its disk. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { diskImage, ramImage, type SnapshotStore } from '../../../src/ports/snapshot-store.ts';
import { countDigits, countFile, inMemory } from './counting-machine.ts';

const run = promisify(execFile);

export interface Counts {
  readonly memory: number;
  readonly disk: number;
}

/** `scratch`: a directory with room for memory and disk. Throws when one of them has no count. */
export async function countsIn(store: SnapshotStore, id: string, scratch: string): Promise<Counts> {
  const [ram, disk] = [path.join(scratch, 'ram'), path.join(scratch, 'disk')];
  const snapshot = await store.open(id);
  try {
    await snapshot.materialize(ramImage, ram);
    await snapshot.materialize(diskImage('root'), disk);
    return { memory: inRam(fs.readFileSync(ram)), disk: await onDisk(disk) };
  } finally {
    for (const file of [ram, disk]) fs.rmSync(file, { force: true });
  }
}

/** Of one moment: the file has what memory has, or what it had before the write under way. */
export const isOneMoment = ({ memory, disk }: Counts): boolean =>
  disk === memory || disk === memory - 1;

/** What the process has left behind when it put its text together has no number yet. */
function inRam(ram: Buffer): number {
  let most = 0;
  for (let at = ram.indexOf(inMemory); at >= 0; at = ram.indexOf(inMemory, at + 1)) {
    const digits = ram.toString('latin1', at + inMemory.length, at + inMemory.length + countDigits);
    if (/^[0-9]+$/.test(digits)) most = Math.max(most, Number(digits));
  }
  if (most > 0) return most;
  throw new Error('there is no count in its memory');
}

/** The count is written in place; that the file has a size may still be in the journal alone. */
async function onDisk(image: string): Promise<number> {
  // 1: the journal was played back. What is no file system any more has no count either.
  await run('e2fsck', ['-f', '-p', image]).catch(() => undefined);
  const { stdout } = await run('debugfs', ['-R', `cat ${countFile}`, image]);
  if (/^[0-9]+$/.test(stdout)) return Number(stdout);
  throw new Error(`there is no count on its disk: '${stdout}'`);
}
