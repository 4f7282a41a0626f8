/** When a backup had received what: the clock's readings in the kept log of one copy, by icount. */

import { asError, UnderstudyError } from '../../../src/base/errors.ts';
import { receivedLogTail } from '../../../src/hypervisor/replay/received-log.ts';
import type { SnapshotManifest, SnapshotStore } from '../../../src/ports/snapshot-store.ts';
import { decodeLogPayload } from '../../../src/restore/log-payload.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';

/** At `timeMs` (since 1970) the log up to `icount` was there, and none behind it. */
export interface Reading {
  readonly timeMs: number;
  readonly icount: number;
}

export interface Timeline {
  /** In their order. */
  readonly readings: readonly Reading[];
  /** Why there are no more, when the log does not simply end. */
  readonly problem?: string;
}

/** All readings behind the first snapshot of a copy. */
export async function readTimeline(
  store: SnapshotStore,
  first: SnapshotManifest,
): Promise<Timeline> {
  const readings: Reading[] = [{ timeMs: first.takenAtMs, icount: first.icount }];
  try {
    for await (const reading of readingsBehind(store, first)) readings.push(reading);
    return { readings };
  } catch (thrown) {
    return { readings, problem: asError(thrown).message };
  }
}

async function* readingsBehind(
  store: SnapshotStore,
  first: SnapshotManifest,
): AsyncGenerator<Reading> {
  const layout = layoutFor(first.layout);
  const tail = receivedLogTail(layout, first);
  for await (const piece of store.log.follow(first)) {
    if (piece.from !== tail.position) {
      throw new UnderstudyError(
        'log-format',
        `A piece of log begins at ${piece.from}, not at ${tail.position}`,
      );
    }
    const { events, marks } = decodeLogPayload(layout, piece.payload);
    let at = 0;
    for (const { kind, offset, value } of marks) {
      if (kind !== 'time') continue;
      if (offset > at) tail.push(events.subarray(at, offset));
      at = offset;
      yield { timeMs: value, icount: tail.icount };
    }
    if (events.length > at) tail.push(events.subarray(at));
    yield { timeMs: piece.toTimeMs, icount: tail.icount };
  }
}
