/**
 * Finds how many instructions had been executed at an instant, by reading the kept log without
 * executing it.
 *
 * A debugger is told to stop at an icount before the log that leads there is fed.
 */

import type { Icount, LogPosition } from '../base/units.ts';
import { receivedLogTail } from '../hypervisor/replay/received-log.ts';
import type { LogPiece } from '../ports/snapshot-store.ts';
import type { Layout } from '../rrlog/layouts.ts';
import { type Instant, upTo } from './instant.ts';
import { decodeLogPayload } from './log-payload.ts';
import { endsBefore, startIn, timeOffset } from './within-piece.ts';

export interface LocateOptions {
  readonly layout: Layout;
  readonly cut: { readonly position: LogPosition; readonly icount: Icount };
  /** The log behind the cut, contiguous; the first piece may begin before it. */
  readonly pieces: AsyncIterable<LogPiece>;
  readonly until: Instant;
}

/**
 * Throws `store` when the kept log does not go so far, `log-format` when it is damaged before that.
 */
export async function icountOf(options: LocateOptions): Promise<Icount> {
  const { layout, cut, pieces, until } = options;
  const tail = receivedLogTail(layout, cut);
  let lastTimeMs: number | undefined;
  for await (const piece of pieces) {
    lastTimeMs = piece.toTimeMs;
    const { position, icount } = tail;
    if (piece.to <= position) continue;
    const { events, marks } = decodeLogPayload(layout, piece.payload);
    const start = startIn(piece, marks, position);
    const end =
      until.kind === 'time' ? timeOffset(piece, marks, until.ms, events.length) : undefined;
    const stretch = events.subarray(start, Math.max(start, end ?? events.length));
    const shortened = upTo(layout, { events: stretch, position, icount }, until);
    tail.push(shortened ?? stretch);
    if (shortened !== undefined || end !== undefined) return tail.icount;
  }
  if (until.kind === 'end') return tail.icount;
  if (until.kind === 'icount' && tail.icount === until.icount) return tail.icount;
  throw endsBefore(until, tail.icount, lastTimeMs);
}
