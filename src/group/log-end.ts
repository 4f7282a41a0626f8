/** How far the log behind a snapshot goes. */
import type { LogPosition } from '../base/units.ts';
import type { SnapshotManifest, SnapshotStore } from '../ports/snapshot-store.ts';

/** Up to where a store has it without a gap. */
export async function logEnd(
  store: SnapshotStore,
  manifest: SnapshotManifest,
): Promise<LogPosition> {
  let end = manifest.position;
  for (const { from, to } of await store.log.list(manifest)) {
    if (from <= end && to > end) end = to;
  }
  return end;
}
