/** Where to go back to: snapshots, and random instants between two of them. */
import { randomInt } from 'node:crypto';
import type { SnapshotManifest } from '../../../src/ports/snapshot-store.ts';
import { describeInstant, type Instant } from '../../../src/restore/instant.ts';
import type { Horizon } from './outside.ts';
import type { Reading } from './timeline.ts';

/** An instant behind a snapshot, and what the log says about it. */
export interface Aim {
  readonly snapshot: SnapshotManifest;
  /** `undefined`: the snapshot itself. */
  readonly until: Instant | undefined;
  readonly icount: number;
  readonly horizon: Horizon;
}

export const describeAim = ({ snapshot, until }: Aim): string =>
  until === undefined ? snapshot.id : `${snapshot.id} to ${describeInstant(until)}`;

/** The snapshot itself. */
export const aimAt = (snapshot: SnapshotManifest): Aim => {
  const { takenAtMs, icount } = snapshot;
  return {
    snapshot,
    until: undefined,
    icount,
    horizon: { heardMs: takenAtMs, begunMs: takenAtMs },
  };
};

/**
 * A random instant between a snapshot and the next one of the same run, by the clock or by icount.
 */
export function aimBetween(
  kind: 'time' | 'icount',
  [from, to]: readonly [SnapshotManifest, SnapshotManifest],
  timeline: readonly Reading[],
): Aim {
  if (kind === 'time') {
    const ms = randomInt(from.takenAtMs, to.takenAtMs + 1);
    const reading = timeline.findLast(({ timeMs }) => timeMs <= ms);
    if (reading === undefined || reading.icount < from.icount) {
      return { ...aimAt(from), until: { kind, ms } }; // nothing had come since the cut
    }
    const { timeMs, icount } = reading;
    const horizon = { heardMs: timeMs, begunMs: timeMs };
    return { snapshot: from, until: { kind, ms }, icount, horizon };
  }
  const icount = randomInt(from.icount + 1, to.icount + 1);
  const heardMs = timeline.findLast((reading) => reading.icount < icount)?.timeMs ?? from.takenAtMs;
  const begunMs = timeline.find((reading) => reading.icount >= icount)?.timeMs ?? to.takenAtMs;
  return { snapshot: from, until: { kind, icount }, icount, horizon: { heardMs, begunMs } };
}
