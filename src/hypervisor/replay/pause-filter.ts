/**
 * Makes the log of a primary that was stopped for a moment right for a replayer that was not.
 *
 * While its vCPU sleeps, QEMU lets the guest's clock run by a "warp": CLOCK_WARP_START reads the
 * real clock, and when a timer on that clock expires the time since then is added to the guest's.
 * If that timer expires in a machine that is stopped, the warp ends and adds nothing, and no clock
 * is read for it (`icount_warp_rt`, softmmu/icount.c). A replayer that goes on there meets the same
 * turn of the main loop while it runs: it reads a clock and adds the time, its guest is ahead by up
 * to a millisecond, a timer expires too early, and it stalls. Measured: about one of a hundred
 * stops that were taken back.
 *
 * The turns of a stopped machine are easy to tell: the real clock stands still, so the two clocks
 * that a turn reads are equal. There the second one is given the time at which the warp began. If a
 * replayer ends its warp there, it adds nothing, like the primary. If it does not, that clock only
 * tells its main loop how long it may sleep.
 *
 * A turn with three equal clocks is one in which a stopped machine re-armed the timer that judges
 * its clock (`icount_adjust_rt`); the second clock is what it re-armed from, and stays. A replayer
 * judges there: device-state/clock-judgement.ts.
 */

import type { Layout } from '../../rrlog/layouts.ts';
import { type EventLogReader, segmentReader } from '../../rrlog/reader.ts';
import { StartFilter } from './start-filter.ts';

const clockValueAt = 1; // behind the kind's byte
const clockEventBytes = 9;

export class PauseFilter {
  readonly #reader: EventLogReader;
  readonly #wanted = new Uint8Array(256);
  readonly #kinds: {
    readonly warpStart: number;
    readonly warpAccount: number;
    readonly turn: number;
    readonly clock: number;
  };
  /** The event before, if it matters: what its clocks mean. */
  #after: 'warpStart' | 'turn' | 'other' = 'other';
  /** Clocks read in this turn so far, and the first two of them. */
  #clocks = 0;
  #firstClock = 0n;
  #secondClock = 0n;
  /** A stopped machine re-armed the timer that judges its clock. */
  #rearmed = false;
  /** Looks for a warp that the primary's `cont` seemed to start. */
  #start: StartFilter | undefined;
  /** When the present warp began; a start while one is under way begins nothing. */
  #warpedSince: bigint | undefined;

  constructor(layout: Layout) {
    this.#reader = segmentReader(layout);
    const kind = (name: string): number => layout.names.indexOf(name);
    this.#kinds = {
      warpStart: kind('checkpoint:clock-warp-start'),
      warpAccount: kind('checkpoint:clock-warp-account'),
      turn: kind('checkpoint:clock-virtual-rt'),
      clock: kind('clock:virtual-rt'),
    };
    for (const wanted of Object.values(this.#kinds)) this.#wanted[wanted] = 1;
  }

  /**
   * The primary was stopped at the end of what was taken so far, and went on without a cut. Returns
   * what was still held.
   */
  resumedHere(): Buffer {
    const held = this.flush();
    this.#start = new StartFilter(this.#reader.layout);
    return held;
  }

  /** Takes whole events; returns what the replayer is to be fed, which may be nothing yet. */
  push(bytes: Buffer): Buffer {
    const patched = this.#patch(bytes);
    if (this.#start === undefined) return patched;
    const passed = this.#start.push(patched);
    if (this.#start.done) this.#start = undefined;
    return passed;
  }

  /**
   * Whether the primary's clock was to be judged while the machine was stopped, at the cut that the
   * log ends with; asking once is asking for this cut.
   */
  takeRearmed(): boolean {
    const rearmed = this.#rearmed;
    this.#rearmed = false;
    return rearmed;
  }

  /** What is still held: nothing comes any more that could tell what it is. */
  flush(): Buffer {
    const held = this.#start?.flush() ?? Buffer.alloc(0);
    this.#start = undefined;
    return held;
  }

  /** The events, or a copy in which clocks were changed. */
  #patch(bytes: Buffer): Buffer {
    const reader = this.#reader;
    let out = bytes;
    reader.push(bytes);
    while (reader.advance(this.#wanted)) {
      const { kind } = reader;
      if (kind === this.#kinds.clock) {
        const at = reader.eventOffset + clockValueAt;
        const value = bytes.readBigInt64BE(at);
        const before = at - clockEventBytes;
        if (this.#isRearming(value)) {
          this.#rearmed = true;
          if (out !== bytes && before >= 0) out.writeBigInt64BE(value, before);
        }
        const changed = this.#takeClock(value);
        if (changed === undefined) continue;
        if (out === bytes) out = Buffer.from(bytes);
        out.writeBigInt64BE(changed, at);
      } else {
        this.#takeCheckpoint(kind);
      }
    }
    return out;
  }

  #takeCheckpoint(kind: number): void {
    this.#clocks = 0;
    if (kind === this.#kinds.warpStart) this.#after = 'warpStart';
    else if (kind === this.#kinds.turn) this.#after = 'turn';
    else {
      this.#after = 'other';
      if (kind === this.#kinds.warpAccount) this.#warpedSince = undefined;
    }
  }

  /** The third equal clock of a turn; the second one is right before it. */
  #isRearming(value: bigint): boolean {
    return (
      this.#after === 'turn' &&
      this.#clocks === 2 &&
      value === this.#firstClock &&
      value === this.#secondClock
    );
  }

  /** Returns what the replayer is to read instead. */
  #takeClock(value: bigint): bigint | undefined {
    this.#clocks += 1;
    if (this.#after === 'warpStart' && this.#clocks === 1) this.#warpedSince ??= value;
    if (this.#after !== 'turn') return undefined;
    if (this.#clocks === 1) this.#firstClock = value;
    if (this.#clocks === 2) this.#secondClock = value;
    // The third clock of a turn was read by a warp that ended in it.
    if (this.#clocks === 3) this.#warpedSince = undefined;
    return this.#clocks === 2 && value === this.#firstClock ? this.#warpedSince : undefined;
  }
}
