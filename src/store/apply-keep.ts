/** Applies a policy to a store. */
import type { WritableStore } from '../ports/snapshot-store.ts';
import { chooseRemovals, type Keep } from './retention.ts';

/**
 * Removes what `keep` does not keep of machine `vm`, and gives its room back; others may have the
 * same store. Gives the ids. Rejects when the store fails.
 */
export async function applyKeep(
  store: Pick<WritableStore, 'list' | 'usage' | 'remove' | 'collect'>,
  vm: string,
  keep: Keep,
): Promise<string[]> {
  const usage = keep.budgetBytes === undefined ? [] : await store.usage();
  const removals = chooseRemovals(await store.list({ vm }), keep, usage);
  for (const id of removals) await removeIfThere(store, id);
  if (removals.length > 0) await store.collect();
  return removals;
}

/** Somebody may have removed it since it was listed. */
async function removeIfThere(
  store: Pick<WritableStore, 'list' | 'remove'>,
  id: string,
): Promise<void> {
  try {
    await store.remove(id);
  } catch (error) {
    if ((await store.list()).some((manifest) => manifest.id === id)) throw error;
  }
}
