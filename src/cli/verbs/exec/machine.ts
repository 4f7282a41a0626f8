/** The machine of a command, as `understudy run` makes one, and as it was at a snapshot. */
import fs from 'node:fs';
import path from 'node:path';
import type { ArchivedFile } from '../../../container/cpio.ts';
import { noConfig } from '../../../container/image-json.ts';
import { type RunWishes, specOf } from '../../../container/machine-spec.ts';
import type { VmDescription } from '../../../hypervisor/config.ts';
import type { ContainerBoot } from '../../../lab/guest-dir.ts';
import { fillNewDirectory } from '../../../restore/new-directory.ts';
import { findSnapshot, prepareMachine } from '../../../restore/prepare.ts';
import { whileOpen } from '../../../store/while-open.ts';
import { writePairFile } from '../new-pair.ts';
import { inRunDir } from '../restore.ts';
import { makeMachine, writeFiles } from '../run-machine.ts';
import { execLimits } from './limits.ts';

export interface ExecMachine {
  /** A directory or an image; `undefined`: the small root that boots it, without a disk. */
  readonly root: string | undefined;
  readonly vm: VmDescription;
  readonly boot: ContainerBoot;
  readonly wishes: RunWishes;
  readonly input: Buffer;
  /** So many snapshots are kept; 0: none. */
  readonly snapshots: number;
}

/** A snapshot that the machine can go back to. */
export interface Candidate {
  readonly id: string;
  readonly store: string;
  /** Taken of standard output and standard error when it was asked for. */
  readonly said: readonly [number, number];
}

export const storeIn = (dir: string): string => path.join(dir, 'kept');

/** Makes the machine in `dir`, which is new. Returns its pair file. Throws as `run` does. */
export function makeExecMachine(
  dir: string,
  { as, ...machine }: ExecMachine & { readonly as: string; readonly signal: AbortSignal },
): Promise<string> {
  const { root, vm, boot, wishes, input, snapshots, signal } = machine;
  const window = snapshots > 0 ? execLimits.windowBytes : 0;
  const files: ArchivedFile[] = [
    { name: 'etc/understudy/relay', mode: 0o600, content: Buffer.from(`${window}\n`) },
    { name: 'etc/understudy/stdin', mode: 0o644, content: input },
  ];
  const pairKeys = keysOf(dir, snapshots);
  return fillNewDirectory(dir, async () => {
    const work = { vm, boot, as, egress: 'none', files, pairKeys };
    if (root === undefined) {
      const accounts = { passwd: '', group: '' };
      const spec = specOf(noConfig, wishes, { name: vm.name, accounts, volumes: [] });
      return writeFiles(dir, { ...work, spec, disks: [] });
    }
    // What stands on standard error is the command's.
    const progressTo = process.stderr.isTTY ? process.stderr : { write: () => true };
    const made = await makeMachine(dir, {
      ...{ ...work, image: root, wishes, volumes: [], sizes: new Map(), signal, progressTo },
    });
    return made.pair;
  });
}

/** Prepares it in `dir`, which is new, to go on from there. Returns its pair file. */
export async function restoreExecMachine(
  dir: string,
  { id, store: directory }: Candidate,
  { as, snapshots }: { readonly as: string; readonly snapshots: number },
): Promise<string> {
  const { vm } = await whileOpen(directory, 'read', async (store) => {
    const snapshot = await findSnapshot(store, { id });
    return inRunDir((runDir) => prepareMachine({ store, snapshot, until: undefined, dir, runDir }));
  });
  const disks = vm.disks.map((disk) => disk.id);
  const more = keysOf(dir, snapshots);
  return writePairFile(dir, { name: as, disks, egress: 'none', more });
}

/** What is only in the way of other lives; the store and what the nodes said stay. */
export function removeMachine(dir: string): void {
  for (const name of fs.readdirSync(dir)) {
    if (/\.raw(\.|$)|^ram$|^state$/.test(name)) fs.rmSync(path.join(dir, name), { force: true });
  }
}

const keysOf = (dir: string, snapshots: number): Readonly<Record<string, unknown>> =>
  snapshots === 0 ? {} : { snapshots: { store: storeIn(dir), keep: { last: snapshots } } };
