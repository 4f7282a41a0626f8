/** A store for as long as some work takes. */
import type { SnapshotStore } from '../ports/snapshot-store.ts';
import { openStore } from './store.ts';

/** Opens the store in `directory`, and closes it whatever becomes of `work`. Throws `store`. */
export async function whileOpen<T>(
  directory: string,
  mode: 'read' | 'write',
  work: (store: SnapshotStore) => Promise<T>,
): Promise<T> {
  const store = await openStore({ directory, mode });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
