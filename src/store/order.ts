/**
 * Which of two snapshots is the older one, without a clock.
 *
 * Intuition: clocks of hosts are set back, and two hosts have two of them. What only rises is the
 * term, which the arbiter gives, and within a recording the position of the log. Two copies of one
 * term (runs) are in the order in which the store was given their first snapshots (`serial`).
 *
 * Contract
 *  1. Of one machine a snapshot of a later term is the newer one; of one term that of the later
 *     run; of one run that at the later position. Times count where nothing else tells them apart,
 *     as in snapshots without a serial.
 *  2. Of several machines each keeps its own order; between them times count, each as the latest
 *     one up to there, so that a clock that was set back turns nothing around.
 */
import type { SnapshotManifest } from '../ports/snapshot-store.ts';

export interface Ordered
  extends Pick<SnapshotManifest, 'id' | 'vm' | 'run' | 'term' | 'position' | 'takenAtMs'> {
  readonly serial?: number | undefined;
}

/** Oldest first. */
export function oldestFirst<T extends Ordered>(snapshots: readonly T[]): T[] {
  const machines = [...groups(snapshots, ({ vm }) => vm).values()].map(ofOneMachine);
  if (machines.length === 1) return machines[0] as T[];
  const timed = machines.flatMap((own) => {
    const times = risingTimes(own);
    return own.map((snapshot, index) => ({ snapshot, time: times[index] as number }));
  });
  // Stable: what has the same time keeps its order.
  return timed.sort((a, b) => a.time - b.time).map(({ snapshot }) => snapshot);
}

/**
 * When each was taken, as far as that never falls: a clock that was set back has shown a time
 * twice, and what follows counts as taken at the latest one before.
 */
export function risingTimes(snapshots: readonly Pick<Ordered, 'takenAtMs'>[]): number[] {
  let latest = 0;
  return snapshots.map(({ takenAtMs }) => {
    latest = Math.max(latest, takenAtMs);
    return latest;
  });
}

function ofOneMachine<T extends Ordered>(own: readonly T[]): T[] {
  const runs = new Map(
    [...groups(own, runOf)].map(([run, snapshots]) => [
      run,
      {
        serial: Math.min(...snapshots.map(({ serial = 0 }) => serial)),
        timeMs: Math.min(...snapshots.map(({ takenAtMs }) => takenAtMs)),
      },
    ]),
  );
  return own.toSorted((a, b) => {
    const [runA, runB] = [runs.get(runOf(a)), runs.get(runOf(b))];
    return (
      a.term - b.term ||
      (runA?.serial ?? 0) - (runB?.serial ?? 0) ||
      (runA?.timeMs ?? 0) - (runB?.timeMs ?? 0) ||
      a.position - b.position ||
      (a.serial ?? 0) - (b.serial ?? 0) ||
      a.takenAtMs - b.takenAtMs
    );
  });
}

/** As `Map.groupBy`, which Node has from 21 on. */
export function groups<T>(all: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const one of all) {
    const own = found.get(keyOf(one));
    if (own === undefined) found.set(keyOf(one), [one]);
    else own.push(one);
  }
  return found;
}

const runOf = ({ term, run }: Ordered): string => `${term} ${run}`;
