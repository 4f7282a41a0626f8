/**
 * Keeps a replayer's main loop from sleeping while its next turn is in the log already.
 *
 * The recorder's main loop turns when a timer expires or a descriptor becomes ready. A replayer's
 * has to turn as often, but nothing becomes ready there: it sleeps until a timer, up to the next
 * tick, or until it is poked. Measured under load: it slept 40 % of the time although log waited,
 * lagged 70 ms, and its primary was held back for a third of the time.
 *
 * How long it sleeps it computes from a clock of the log, the last one that a turn reads: behind
 * CLOCK_VIRTUAL_RT the first clock runs the timers, a second one is for the next deadline
 * (`timerlist_deadline_ns`, util/qemu-timer.c). Where another turn follows at once, that clock is
 * put past every deadline, and the main loop goes on without a pause. Where the vCPU is next, it
 * may sleep: turning for nothing takes the vCPU's lock away.
 *
 * A turn of a stopped machine is left as it is: its clocks are equal, or were set by `PauseFilter`,
 * and there the second one may be read for the end of a warp.
 *
 * Contract
 *  1. Only such clocks are changed; nothing is left out or moved.
 *  2. Nothing is held back: a turn at the end of what is given is left as it is.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import { type EventLogReader, segmentReader } from '../../rrlog/reader.ts';

/** Past the deadline of any timer that is due within a second, which all of QEMU's own are. */
const pastDeadlinesNs = 2_000_000_000n;

const clockValueAt = 1; // behind the kind's byte

/** The clocks that a turn of the main loop has read so far. */
interface Turn {
  clocks: number;
  first: bigint;
  lastAt: number;
}

export class SleepFilter {
  readonly #reader: EventLogReader;
  readonly #turn: number;
  readonly #warpStart: number;
  readonly #clock: number;

  constructor(layout: Layout) {
    this.#turn = layout.names.indexOf('checkpoint:clock-virtual-rt');
    this.#warpStart = layout.names.indexOf('checkpoint:clock-warp-start');
    this.#clock = layout.names.indexOf('clock:virtual-rt');
    this.#reader = segmentReader(layout);
  }

  /** Takes whole events; returns what a replayer is to be fed instead, as many bytes. */
  push(bytes: Buffer): Buffer {
    const reader = this.#reader;
    let out = bytes;
    let turn: Turn | undefined;
    reader.push(bytes);
    while (reader.next()) {
      const { kind } = reader;
      if (kind === this.#clock) {
        if (turn === undefined) continue;
        turn.lastAt = reader.eventOffset + clockValueAt;
        if (turn.clocks === 0) turn.first = bytes.readBigInt64BE(turn.lastAt);
        turn.clocks += 1;
        continue;
      }
      if (turn !== undefined && (kind === this.#turn || kind === this.#warpStart)) {
        const last = turn.clocks < 2 ? turn.first : bytes.readBigInt64BE(turn.lastAt);
        if (last > turn.first) {
          if (out === bytes) out = Buffer.from(bytes);
          out.writeBigInt64BE(last + pastDeadlinesNs, turn.lastAt);
        }
      }
      turn = kind === this.#turn ? { clocks: 0, first: 0n, lastAt: 0 } : undefined;
    }
    return out;
  }
}
