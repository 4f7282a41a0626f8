/** When a backup had received what: the clock's readings in the kept log of one run, by icount. */
import { UnderstudyError } from '../../../src/base/errors.ts';
import { padNetId } from '../../../src/hypervisor/command-line.ts';
import { decodeLogPayload } from '../../../src/node/snapshots/log-payload.ts';
import type { SnapshotManifest, SnapshotStore } from '../../../src/ports/snapshot-store.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { LogTail } from '../../../src/rrlog/log-tail.ts';

/** At `timeMs` (since 1970) the log up to `icount` was there, and none behind it. */
export interface Reading {
  readonly timeMs: number;
  readonly icount: number;
}

/**
 * All readings behind the first snapshot of a run, in their order. Throws `store` and `log-format` when the
 * log cannot be read.
 */
export async function readTimeline(
  store: SnapshotStore,
  first: SnapshotManifest,
): Promise<Reading[]> {
  const layout = layoutFor(first.layout);
  const tail = new LogTail({
    layout,
    input: 'stripped',
    expectHeader: false,
    start: { position: first.position, icount: first.icount },
    markerNetId: padNetId,
  });
  const readings: Reading[] = [{ timeMs: first.takenAtMs, icount: first.icount }];
  for await (const piece of store.log.follow(first)) {
    if (piece.from !== tail.position) {
      throw new UnderstudyError(
        'log-format',
        `A piece of log begins at ${piece.from}, not at ${tail.position}: the run was seeded twice`,
      );
    }
    const { events, marks } = decodeLogPayload(layout, piece.payload);
    let at = 0;
    for (const { kind, offset, value } of marks) {
      if (kind !== 'time') continue;
      if (offset > at) tail.push(events.subarray(at, offset));
      at = offset;
      readings.push({ timeMs: value, icount: tail.icount });
    }
    if (events.length > at) tail.push(events.subarray(at));
    readings.push({ timeMs: piece.toTimeMs, icount: tail.icount });
  }
  return readings;
}
