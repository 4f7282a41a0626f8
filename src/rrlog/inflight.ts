/**
 * Disk requests in flight: whether a cut is valid, and which completions a takeover has to make.
 *
 * What the ids are (QEMU 7.2 and 10.0):
 *
 * - BLOCK: `blkreplay` (block/blkreplay.c) draws one id for each read, write, write-zeroes,
 *   discard and flush, from one counter for all disks (`blkreplay_next_id`, saved in device state
 *   as `block_request_id`). Exactly one BLOCK event with that id follows when it completes, also
 *   when it failed. Ids are drawn in order from 0; completions come in any order. Requests made
 *   before the machine starts (probing an image) draw nothing and log nothing.
 * - The counter is 0 at the start of every *recording*, also one that begins by loading a state
 *   (`replay_post_load` in replay-snapshot.c sets it back). A new recorder needs a new tracker.
 * - BH and BH_ONESHOT do not share that counter. Their id is the icount when the bottom half was
 *   scheduled, so it is not unique; a replayer takes the oldest one with that kind and icount.
 *
 * A request or bottom half in flight at a cut lives only in QEMU's memory, not in device state: it
 * would never complete after a load. So a cut is valid only if nothing was in flight. For disk
 * requests the log proves that: every id below `block_request_id` was completed before the cut.
 * For bottom halves it can only refute it: one scheduled before the cut shows up after it.
 */
import { UnderstudyError } from '../base/errors.ts';
import type { Icount, LogPosition } from '../base/units.ts';
import { bounds } from './bounds.ts';

/** A cut as the "replay" section of its device state tells it. */
export interface CutPoint {
  readonly position: LogPosition;
  readonly icount: Icount;
  /** Next disk request id at the cut (`block_request_id`). */
  readonly blockRequestId: number;
}

export type CutVerdict =
  /** The log has not been seen up to the cut: ask again later. */
  | { readonly state: 'unknown' }
  /**
   * All disk requests were complete, and no bottom half scheduled before the cut has been seen
   * after it *so far*: a later answer may still be `invalid`.
   */
  | { readonly state: 'valid' }
  | {
      readonly state: 'invalid';
      /** Disk requests in flight at the cut, ascending. */
      readonly requests: readonly number[];
      /** Bottom halves in flight at the cut: the icounts at which they were scheduled. */
      readonly bottomHalves: readonly number[];
    };

export class RequestTracker {
  /** Every id below is complete. */
  #below: number;
  /** Complete ids at or above `#below`. */
  readonly #above = new Set<number>();
  /** Since `openCut()`: completions and bottom halves, as pairs of position and id. */
  #cutBlocks: number[] | undefined;
  #cutBottomHalves: number[] | undefined;

  /**
   * @param nextId every id below is complete: 0 for a recording, `block_request_id` for a replay
   * that starts from a valid cut.
   */
  constructor(nextId = 0) {
    this.#below = nextId;
  }

  /** Every id below this one is complete. */
  get completedBelow(): number {
    return this.#below;
  }

  /** Ids known to have been drawn: one more than the highest completed one. */
  get drawnAtLeast(): number {
    let highest = this.#below;
    for (const id of this.#above) if (id >= highest) highest = id + 1;
    return highest;
  }

  isCompleted(id: number): boolean {
    return id < this.#below || this.#above.has(id);
  }

  /**
   * A BLOCK event at a position.
   *
   * @throws UnderstudyError `log-format` when the id completes twice or is absurdly far ahead.
   */
  noteBlock(id: number, position: LogPosition): void {
    if (this.isCompleted(id)) throw broken(id, position, 'completes twice');
    if (id - this.#below > bounds.requestWindowMax) {
      throw broken(id, position, `is too far ahead of ${this.#below}, the first one not complete`);
    }
    if (id === this.#below) {
      this.#below++;
      while (this.#above.size > 0 && this.#above.delete(this.#below)) this.#below++;
    } else {
      this.#above.add(id);
    }
    if (this.#cutBlocks !== undefined) remember(this.#cutBlocks, position, id);
  }

  /** A BH or BH_ONESHOT event at a position. */
  noteBottomHalf(scheduledAt: number, position: LogPosition): void {
    if (this.#cutBottomHalves !== undefined) {
      remember(this.#cutBottomHalves, position, scheduledAt);
    }
  }

  /** Start to remember events, so that cuts from here on can be judged. Call before `stop`. */
  openCut(): void {
    this.#cutBlocks = [];
    this.#cutBottomHalves = [];
  }

  /** Stop remembering. */
  closeCut(): void {
    this.#cutBlocks = undefined;
    this.#cutBottomHalves = undefined;
  }

  /**
   * Judge a cut made since `openCut()`, by the log seen up to `seenTo` (a tail's position).
   *
   * A bottom half scheduled at the very icount of the cut counts as in flight: whether it was
   * scheduled before or after the stop cannot be told, and another cut costs little.
   */
  judgeCut(cut: CutPoint, seenTo: LogPosition): CutVerdict {
    const { position, blockRequestId } = cut;
    const blocks = this.#cutBlocks;
    const bottomHalves = this.#cutBottomHalves;
    if (blocks === undefined || bottomHalves === undefined) {
      throw new Error('judgeCut() needs openCut() before the cut');
    }
    if (seenTo < position) return { state: 'unknown' };
    const requests: number[] = [];
    for (let id = this.#below; id < blockRequestId; id++) {
      if (!this.#above.has(id)) requests.push(id);
    }
    for (let i = 0; i < blocks.length; i += 2) {
      if (blocks[i]! >= position && blocks[i + 1]! < blockRequestId) requests.push(blocks[i + 1]!);
    }
    const crossing: number[] = [];
    for (let i = 0; i < bottomHalves.length; i += 2) {
      if (bottomHalves[i]! >= position && bottomHalves[i + 1]! <= cut.icount) {
        crossing.push(bottomHalves[i + 1]!);
      }
    }
    if (requests.length === 0 && crossing.length === 0) return { state: 'valid' };
    requests.sort((a, b) => a - b);
    return { state: 'invalid', requests, bottomHalves: crossing };
  }

  /**
   * Ids that may be in flight, ascending, without end: the log does not say how many were drawn.
   * A takeover feeds one completion after the other and stops when one is not consumed, because
   * that request was never made.
   */
  *uncompleted(): Generator<number, never, undefined> {
    for (let id = this.#below; ; id++) {
      if (!this.#above.has(id)) yield id;
    }
  }
}

function remember(pairs: number[], position: number, id: number): void {
  if (pairs.length >= 2 * bounds.cutCompletionsMax) {
    throw new UnderstudyError(
      'cut',
      `a cut was not judged within ${bounds.cutCompletionsMax} events`,
      {
        hint: 'discard the cut and make another one',
      },
    );
  }
  pairs.push(position, id);
}

function broken(id: number, position: number, what: string): UnderstudyError {
  return new UnderstudyError(
    'log-format',
    `event log: disk request ${id} ${what} at position ${position}`,
  );
}
