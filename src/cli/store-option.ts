/** Where a verb finds the snapshot store: `--store`, or the pair file that has one. */
import path from 'node:path';
import type { Command } from 'commander';
import { UnderstudyError } from '../base/errors.ts';
import { loadPairConfig, nodeNames } from '../node/pair-config.ts';
import type { SnapshotStore } from '../ports/snapshot-store.ts';
import { openStore } from '../store/store.ts';

export interface StoreOption {
  readonly store?: string;
  readonly pair?: string;
}

/** Adds the two options to a verb. */
export function withStore(command: Command): Command {
  return command
    .option('--store <directory>', 'the snapshot store')
    .option('--pair <file>', 'a pair file that names the store');
}

/** Directory of the store. Throws `config` when neither option tells. */
export function storeDirectory({ store, pair }: StoreOption): string {
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
