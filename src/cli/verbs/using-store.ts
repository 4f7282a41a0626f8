/** The snapshot store that a verb was given: `--store`, or the pair file that has one. */
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import { loadPairConfig, nodeNames } from '../../node/pair-file/pair-config.ts';
import { changingStoreAt } from '../../observe/change-store.ts';
import type { StoreChanges } from '../../observe/node-store.ts';
import type { SnapshotStore } from '../../ports/snapshot-store.ts';
import { whileOpen } from '../../store/while-open.ts';
import type { StoreOption } from '../store-option.ts';

/** Directories of a store, and of the one that a pair copies it to. */
export interface StorePlaces {
  readonly directory: string;
  readonly copyTo: string | undefined;
}

/** Where the store is. Throws `config` when neither option tells. */
export function placesOfStore({ store, pair }: StoreOption): StorePlaces {
  if (store !== undefined) return { directory: path.resolve(store), copyTo: undefined };
  if (pair === undefined) {
    throw new UnderstudyError('config', 'Which store? Give --store, or --pair with a pair file');
  }
  const { snapshots } = loadPairConfig(pair, nodeNames(pair)[0] ?? '');
  if (snapshots !== undefined) {
    return { directory: snapshots.store, copyTo: snapshots.copyTo?.directory };
  }
  throw new UnderstudyError('config', `Pair file '${pair}' has no snapshots`, {
    hint: 'add `snapshots: { store: DIRECTORY }` to it, see docs/restore.md',
  });
}

/** Opens the store for as long as `work` takes. */
export function usingStore<T>(
  options: StoreOption,
  mode: 'read' | 'write',
  work: (store: SnapshotStore) => Promise<T>,
): Promise<T> {
  return whileOpen(placesOfStore(options).directory, mode, work);
}

/** Lets `work` change the store, whoever writes to it. Throws as `changingStoreAt`. */
export function changingStore<T>(
  options: StoreOption,
  work: (store: StoreChanges) => Promise<T>,
): Promise<T> {
  return changingStoreAt(placesOfStore(options).directory, work);
}
