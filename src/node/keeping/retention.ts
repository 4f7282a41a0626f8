/** Applies the policy of the pair file to a store that a snapshot was added to. */
import type { WritableStore } from '../../ports/snapshot-store.ts';
import { applyKeep } from '../../store/apply-keep.ts';
import { storeLimits } from '../../store/limits.ts';
import type { Keep } from '../../store/retention.ts';

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
    if (keep === undefined || performance.now() - appliedAt < storeLimits.retentionMs) return;
    appliedAt = performance.now();
    await applyKeep(store, vm, keep);
  };
}
