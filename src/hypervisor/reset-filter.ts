/**
 * Puts what the paused vCPU did in a guest's reset in front of it, where a replayer meets it for certain.
 *
 * A reset pauses the vCPU, which may be about to enter its loop: then it delivers what waits for it (asynchronous
 * events) and accounts for the warp that is under way (CLOCK_WARP_ACCOUNT and a clock), the guest's clock moves
 * on, and the devices are reset behind that. In a replayer the vCPU may be found asleep: it is paused at
 * once, and does all that when it goes on. Its devices were reset some microseconds of the guest's clock too
 * early; the PIT counts from there, a timer expires before its time, and the replay stalls, or differs at the
 * next cut. Measured: 1 of 6 reboots; 1 of 6 again when only a warp without events before it was moved.
 *
 *     RESET_REQUESTED, NET, CLOCK_WARP_ACCOUNT, CLOCK   becomes
 *     NET, CLOCK_WARP_ACCOUNT, CLOCK, RESET_REQUESTED
 *
 * What a vCPU does behind the reset cannot be taken for it: the main loop has the replay mutex from the reset
 * on until it has read the clock for its next sleep (`main_loop_wait`, util/main-loop.c), and that is in the log
 * first, of any machine whose clock can be adjusted or is warped.
 *
 * A replayer asks for the reset again and again until it is next in the log
 * (`qemu_reset_requested`, softmmu/runstate.c), and its vCPU, which stands, is woken for what comes
 * before (`icount_start_warp_timer`). No instruction is executed in between on either side.
 */
import type { Layout } from '../rrlog/layouts.ts';
import { type EventLogReader, segmentReader } from '../rrlog/reader.ts';

export class ResetFilter {
  readonly #reader: EventLogReader;
  readonly #wanted = new Uint8Array(256);
  readonly #warpAccount: number;
  readonly #clock: number;
  /** Asynchronous events: from this kind on, */
  readonly #asyncFirst: number;
  /** and below this one. */
  readonly #asyncEnd: number;
  /** A reset, and what may be the vCPU's behind it. */
  #held: Buffer[] = [];
  /** So many of these are: up to the last time that it did something. */
  #vcpus = 0;
  /** The clock of the warp that was under way is among them: a second one is the main loop's. */
  #isWarpOver = false;

  constructor(layout: Layout) {
    const { names } = layout;
    this.#warpAccount = names.indexOf('checkpoint:clock-warp-account');
    this.#clock = names.indexOf('clock:virtual-rt');
    this.#asyncFirst = layout.first.bh;
    this.#asyncEnd = layout.first.shutdown;
    this.#wanted[names.indexOf('checkpoint:reset-requested')] = 1;
    this.#reader = segmentReader(layout);
  }

  /** Takes whole events; returns what a replayer is to be fed, which may be nothing yet. */
  push(bytes: Buffer): Buffer {
    const reader = this.#reader;
    const out: Buffer[] = [];
    let copied = 0;
    reader.push(bytes);
    for (;;) {
      if (this.#held.length > 0) {
        if (!reader.next()) break;
        out.push(...this.#takeBehindReset(reader));
      } else {
        if (!reader.advance(this.#wanted)) break;
        // A marker stops the reader, too.
        if (this.#wanted[reader.kind] === 0) continue;
        out.push(bytes.subarray(copied, reader.eventOffset));
        this.#held.push(Buffer.from(reader.raw()));
      }
      copied = reader.nextOffset;
    }
    if (copied === 0) return bytes;
    out.push(bytes.subarray(copied));
    return Buffer.concat(out);
  }

  /** What is still held: nothing comes any more that could tell what it is. */
  flush(): Buffer {
    return Buffer.concat(this.#release());
  }

  #takeBehindReset(reader: EventLogReader): Buffer[] {
    const { kind } = reader;
    const event = Buffer.from(reader.raw());
    const before = this.#held.length === 1 ? undefined : this.#held.at(-1)?.[0];
    if (this.#isAsync(kind)) this.#held.push(event);
    else if (kind === this.#warpAccount) {
      this.#held.push(event);
      if (before !== undefined && this.#isAsync(before)) this.#vcpus = this.#held.length - 1;
    } else if (kind === this.#clock && before === this.#warpAccount && !this.#isWarpOver) {
      this.#vcpus = this.#held.push(event) - 1;
      this.#isWarpOver = true;
    } else return [...this.#release(), event];
    return [];
  }

  #isAsync(kind: number): boolean {
    return this.#asyncFirst <= kind && kind < this.#asyncEnd;
  }

  #release(): Buffer[] {
    const [reset, ...behind] = this.#held.splice(0);
    if (reset === undefined) return [];
    const rest = behind.splice(this.#vcpus);
    this.#vcpus = 0;
    this.#isWarpOver = false;
    return [...behind, reset, ...rest];
  }
}
