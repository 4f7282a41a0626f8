/**
 * A piece of log while it grows: segments as they come, and marks at their places.
 */
import type { Epoch, Icount, LogPosition } from '../base/units.ts';
import type { LogPiece, RunName } from '../ports/snapshot-store.ts';
import type { Layout } from '../rrlog/layouts.ts';
import type { Segment } from '../rrlog/log-tail.ts';
import { snapshotLimits } from './limits.ts';
import { encodeLogPayload, type LogMark } from './log-payload.ts';

/** Whose log it is. */
export interface PieceOwner extends RunName, Pick<LogPiece, 'term'> {
  readonly layout: Layout;
}

/** Where a piece begins. */
export type PieceStart = Pick<LogPiece, 'from' | 'fromIcount' | 'fromTimeMs' | 'firstEpoch'>;

export class GrowingPiece {
  readonly #owner: PieceOwner;
  readonly #start: PieceStart;
  #to: LogPosition;
  #toIcount: Icount;
  #lastEpoch: Epoch;
  readonly #chunks: Buffer[] = [];
  readonly #marks: LogMark[] = [];
  #bytes = 0;
  #markedAt = Number.NEGATIVE_INFINITY;

  constructor(owner: PieceOwner, start: PieceStart) {
    this.#owner = owner;
    this.#start = start;
    this.#to = start.from;
    this.#toIcount = start.fromIcount;
    this.#lastEpoch = start.firstEpoch;
  }

  /** End of what it has. */
  get to(): LogPosition {
    return this.#to;
  }

  /** Of its events, not packed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The next segment, and when it was received; milliseconds since 1970. */
  take(segment: Segment, timeMs: number): void {
    this.#chunks.push(segment.bytes);
    this.#bytes += segment.bytes.length;
    this.#to = segment.to;
    this.#toIcount = segment.icount;
    this.#lastEpoch = segment.markers.at(-1)?.epoch ?? this.#lastEpoch;
    if (timeMs - this.#markedAt < snapshotLimits.timeMarkMs) return;
    this.#markedAt = timeMs;
    this.mark('time', timeMs);
  }

  /** Behind what was taken so far; `judgement`: of the clock, at a cut. */
  mark(kind: LogMark['kind'], value: number, judgement?: string): void {
    const mark = { kind, offset: this.#bytes, position: this.#to, value };
    this.#marks.push(judgement === undefined ? mark : { ...mark, judgement });
  }

  /** The piece, whole. Throws `log-format` when its events are none. */
  end(toTimeMs: number): LogPiece {
    const { layout, ...owner } = this.#owner;
    const events = Buffer.concat(this.#chunks);
    return {
      ...owner,
      layout: layout.qemu,
      ...this.#start,
      to: this.#to,
      toIcount: this.#toIcount,
      toTimeMs,
      lastEpoch: this.#lastEpoch,
      payload: encodeLogPayload(layout, { events, marks: this.#marks }),
    };
  }
}
