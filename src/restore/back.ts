/**
 * Going back: a machine whose guest has failed goes on from a snapshot, and from nothing of the log
 * behind it, which would lead to the same failure.
 *
 * Contract
 *  1. It is prepared while the machine that failed is still there, and touches nothing of it: a
 *     snapshot that is damaged costs nothing.
 *  2. Its images are put in the place of the node's (`replaceDisks`, restart.ts) only when that
 *     machine is gone; those of before stay beside them, as IMAGE.before-restart.
 */
import fs from 'node:fs';
import type { SnapshotManifest } from '../ports/snapshot-store.ts';
import { whileOpen } from '../store/while-open.ts';
import { prepareMachine } from './prepare.ts';
import type { PreparedMachine } from './prepared.ts';
import type { RestartOf } from './restart.ts';

/** All snapshots of a machine that this host can go on from, in the order of the store. */
export async function keptOf(of: Omit<RestartOf, 'term'>): Promise<SnapshotManifest[]> {
  return whileOpen(of.store, 'read', async (store) => {
    const { vm, vmFingerprint, qemuVersion } = of;
    const kept = await store.list({ vm });
    return kept.filter(
      (snapshot) =>
        snapshot.vmFingerprint === vmFingerprint && snapshot.qemuVersion === qemuVersion,
    );
  });
}

export interface BackOptions {
  /** Directory of the store. */
  readonly store: string;
  readonly snapshot: SnapshotManifest;
  /** To prepare the machine in: emptied. */
  readonly dir: string;
  readonly runDir: string;
}

/** Throws like `prepareMachine`. */
export async function prepareBack(options: BackOptions): Promise<PreparedMachine> {
  const { snapshot, dir, runDir } = options;
  fs.rmSync(dir, { recursive: true, force: true });
  return whileOpen(options.store, 'read', async (store) => {
    const { machine } = await prepareMachine({ store, snapshot, until: undefined, dir, runDir });
    return machine;
  });
}
