/**
 * Restart: a machine that neither node has any more goes on from the newest snapshot and the log
 * behind it.
 *
 * Contract
 *  1. Only a snapshot of the last term that was ever given counts. A machine that spoke in a later
 *     term, alone or behind a takeover, has disks that know more than its snapshots.
 *  2. The images that were there stay beside the new ones, as IMAGE.before-restart, up to the next
 *     restart. Until the new ones are whole and on the disk nothing is changed; a node that dies
 *     while it changes them leaves them marked, and nothing boots from them.
 *  3. All of the kept log is executed. Log that cannot be, also because the guest switched itself
 *     off in it, is no restart.
 *  4. Where this node was the backup with `ack: durable`, the log is what it had on its disk, and
 *     nothing that was ever acknowledged is missing (durable-tail.ts). A durable log that cannot be
 *     used leaves what the store has, and it is said why.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { logPosition, type Term } from '../base/units.ts';
import { flushPath } from '../host/durable-files.ts';
import { markImage, unmarkImage } from '../hypervisor/disks/image-marker.ts';
import { copySparse } from '../hypervisor/memory/sparse-copy.ts';
import type { SnapshotManifest, SnapshotStore } from '../ports/snapshot-store.ts';
import { whileOpen } from '../store/while-open.ts';
import { findDurableTail } from './durable-tail.ts';
import { prepareMachine } from './prepare.ts';
import { type PreparedMachine, preparedPaths } from './prepared.ts';

/** Whose snapshot may be gone on from. */
export interface RestartOf {
  /** Directory of the store. */
  readonly store: string;
  /** Name of the pair. */
  readonly vm: string;
  /** The last term that was given before the one in which the machine is going to run. */
  readonly term: Term;
  readonly vmFingerprint: string;
  /** As QEMU prints it. */
  readonly qemuVersion: string;
}

/** The snapshot to go on from, if there is one. Throws `store` when the store cannot be read. */
export async function findRestart(of: RestartOf): Promise<SnapshotManifest | undefined> {
  return whileOpen(of.store, 'read', async (store) => {
    const { vm, term, vmFingerprint, qemuVersion } = of;
    const kept = await store.list({ vm });
    return kept
      .filter((snapshot) => snapshot.term === term)
      .filter((snapshot) => snapshot.vmFingerprint === vmFingerprint)
      .findLast((snapshot) => snapshot.qemuVersion === qemuVersion);
  });
}

export interface RestartOptions {
  /** Directory of the store. */
  readonly store: string;
  readonly snapshot: SnapshotManifest;
  /** To prepare the machine in: emptied. */
  readonly dir: string;
  /** On a tmpfs, with a short path. */
  readonly runDir: string;
  readonly pidDir: string;
  /** Images of the machine's disks, by id: replaced. */
  readonly diskImages: Readonly<Record<string, string>>;
  /** Where this node's durable log is, if it ever had one. */
  readonly durableLog: string;
}

/** A machine that is ready to go on, its disks in place. */
export interface Restart {
  readonly machine: PreparedMachine;
  readonly snapshot: string;
  /** When the last log that was executed had been received, milliseconds since 1970. */
  readonly logEndMs: number;
  /** Why log may be missing that was acknowledged; `undefined`: none is. */
  readonly whyIncomplete: string | undefined;
}

/** Throws like `prepareMachine`, and `resources` without room for the disks. */
export async function prepareRestart(options: RestartOptions): Promise<Restart> {
  const { snapshot, dir, diskImages } = options;
  fs.rmSync(dir, { recursive: true, force: true });
  return whileOpen(options.store, 'read', async (store) => {
    const { machine, logEndMs, whyIncomplete } = await executeAll(store, options);
    await replaceDisks(machine, diskImages);
    return { machine, snapshot: snapshot.id, logEndMs, whyIncomplete };
  });
}

/** With the durable log, or if that is of no use with the log of the store. */
async function executeAll(
  store: SnapshotStore,
  { snapshot, dir, runDir, pidDir, durableLog }: RestartOptions,
): Promise<Omit<Restart, 'snapshot'>> {
  let keptTo = snapshot.position;
  let keptEndMs = snapshot.takenAtMs;
  for (const { to, toTimeMs } of await store.log.list(snapshot)) {
    keptTo = logPosition(Math.max(keptTo, to));
    keptEndMs = Math.max(keptEndMs, toTimeMs);
  }
  const durable = await findDurableTail(durableLog, snapshot, keptTo);
  const isUsed = 'pieces' in durable;
  const { machine } = await prepareMachine({
    ...{ store, snapshot, dir, runDir, pidDir, until: { kind: 'end' } },
    ...(isUsed ? { pieces: durable.pieces } : {}),
  });
  return isUsed
    ? { machine, logEndMs: durable.endMs, whyIncomplete: undefined }
    : { machine, logEndMs: keptEndMs, whyIncomplete: durable.whyNot };
}

/** Puts its images in the place of the node's. Throws `resources`, `config`. */
export async function replaceDisks(
  machine: Pick<PreparedMachine, 'dir' | 'facts'>,
  diskImages: Readonly<Record<string, string>>,
): Promise<void> {
  const images = machine.facts.disks.map((id) => {
    const image = diskImages[id];
    if (image === undefined) {
      throw new UnderstudyError('config', `The pair file has no image for disk '${id}'`);
    }
    return { image, from: preparedPaths(machine.dir).disk(id), next: `${image}.restarting` };
  });
  try {
    for (const { image, from, next } of images) {
      fs.rmSync(next, { force: true });
      await copySparse(from, next);
      await flushPath(next);
      const before = `${image}.before-restart`;
      fs.rmSync(before, { force: true });
      if (fs.existsSync(image)) fs.linkSync(image, before);
    }
    // A node that dies from here on must not boot from images of two times.
    for (const { image } of images) markImage(image, `restart ${machine.facts.snapshot}`);
    for (const { image, next } of images) fs.renameSync(next, image);
    for (const { image } of images) await flushPath(path.dirname(image));
    for (const { image } of images) await unmarkImage(image);
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) throw thrown;
    throw new UnderstudyError('resources', 'Cannot replace the images of the machine', {
      cause: asError(thrown),
      hint: 'what they held before is in the images or beside them, as IMAGE.before-restart',
    });
  } finally {
    for (const { next } of images) fs.rmSync(next, { force: true });
  }
}
