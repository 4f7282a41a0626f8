/** What each snapshot takes up: see `SnapshotUsage`. */
import type { RunName, SnapshotUsage } from '../ports/snapshot-store.ts';
import type { StoredManifest } from './manifest.ts';
import { Pace } from './pace.ts';
import { packedBytes } from './pack.ts';
import type { StoreParts } from './parts.ts';
import { Reach } from './reach.ts';

/** Oldest first. Throws `store` when a snapshot is damaged. */
export async function usageOf(parts: StoreParts): Promise<SnapshotUsage[]> {
  const manifests = parts.manifests();
  const log = logBytes(parts, manifests);
  const usage: SnapshotUsage[] = [];
  let bytes = 0;
  // A chunk goes when the newest snapshot goes that needs it.
  const reach = new Reach(parts.loadNode, (name) => {
    const place = parts.catalogue.findChunk(name);
    if (place !== undefined) bytes += packedBytes(place);
  });
  const pace = new Pace();
  for (const manifest of manifests.toReversed()) {
    bytes = log.get(manifest.id) ?? 0;
    await reach.from(manifest);
    usage.push({ id: manifest.id, bytes });
    await pace.breathe();
  }
  return usage.reverse();
}

/** Bytes of log by the snapshot that it follows. */
function logBytes(parts: StoreParts, manifests: readonly StoredManifest[]): Map<string, number> {
  const bytes = new Map<string, number>();
  const cuts = new Map<string, StoredManifest[]>();
  const keyOfRun = ({ vm, run }: RunName): string => `${vm}/${run}`;
  for (const manifest of manifests.toSorted((a, b) => a.position - b.position)) {
    const known = cuts.get(keyOfRun(manifest));
    if (known === undefined) cuts.set(keyOfRun(manifest), [manifest]);
    else known.push(manifest);
  }
  for (const row of parts.catalogue.pieces()) {
    const before = cuts.get(keyOfRun(row))?.findLast(({ position }) => position < row.to);
    if (before !== undefined) bytes.set(before.id, (bytes.get(before.id) ?? 0) + row.bytes);
  }
  return bytes;
}
