/** Applies the policy of the pair file to a store that a snapshot was added to. */
import type { WritableStore } from '../../ports/snapshot-store.ts';
import { snapshotLimits } from '../../restore/limits.ts';
import { chooseRemovals, type Keep } from '../../store/retention.ts';

/**
 * Removes what `keep` does not keep of machine `vm` and gives its room back, now and then; others
 * may have the same store. Rejects when the store fails; the next call tries again.
 */
export function retention(
  vm: string,
  keep: Keep | undefined,
): (store: WritableStore) => Promise<void> {
  let appliedAt = Number.NEGATIVE_INFINITY;
  return async (store) => {
    if (keep === undefined || performance.now() - appliedAt < snapshotLimits.retentionMs) return;
    appliedAt = performance.now();
    const usage = keep.budgetBytes === undefined ? [] : await store.usage();
    const removals = chooseRemovals(await store.list({ vm }), keep, usage);
    for (const id of removals) await removeIfThere(store, id);
    if (removals.length > 0) await store.collect();
  };
}

/** Somebody may have removed it since it was listed. */
async function removeIfThere(store: WritableStore, id: string): Promise<void> {
  try {
    await store.remove(id);
  } catch (error) {
    if ((await store.list()).some((manifest) => manifest.id === id)) throw error;
  }
}
