/** The snapshot store that a verb was given: `--store`, or the pair file that has one. */
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import { loadPairConfig, nodeNames } from '../../node/pair-file/pair-config.ts';
import { type StoreChanges, storeOfNode } from '../../observe/node-store.ts';
import type { SnapshotStore } from '../../ports/snapshot-store.ts';
import { StoreInUse } from '../../store/owner.ts';
import { openStore } from '../../store/store.ts';
import type { StoreOption } from '../store-option.ts';

/** Directory of the store. Throws `config` when neither option tells. */
function storeDirectory({ store, pair }: StoreOption): string {
  if (store !== undefined) return path.resolve(store);
  if (pair === undefined) {
    throw new UnderstudyError('config', 'Which store? Give --store, or --pair with a pair file');
  }
  const { snapshots } = loadPairConfig(pair, nodeNames(pair)[0] ?? '');
  if (snapshots !== undefined) return snapshots.store;
  throw new UnderstudyError('config', `Pair file '${pair}' has no snapshots`, {
    hint: 'add `snapshots: { store: DIRECTORY }` to it, see docs/restore.md',
  });
}

/** Opens the store for as long as `work` takes. */
export async function usingStore<T>(
  options: StoreOption,
  mode: 'read' | 'write',
  work: (store: SnapshotStore) => Promise<T>,
): Promise<T> {
  const store = await openStore({ directory: storeDirectory(options), mode });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/**
 * Lets `work` change the store: opened here, or, when a node of this machine writes to it, by
 * asking that node. Throws `store` when another process or host has it.
 */
export async function changingStore<T>(
  options: StoreOption,
  work: (store: StoreChanges) => Promise<T>,
): Promise<T> {
  try {
    return await usingStore(options, 'write', work);
  } catch (thrown) {
    if (!(thrown instanceof StoreInUse) || thrown.node === undefined) throw thrown;
    return await work(storeOfNode(thrown.node));
  }
}
