/**
 * Puts what the paused vCPU did in a guest's reset in front of it, where a replayer meets it for
 * certain.
 *
 * A reset pauses the vCPU, which may be about to enter its loop: then it delivers what waits for it
 * (asynchronous events) and accounts for the warp that is under way (CLOCK_WARP_ACCOUNT and a
 * clock), the guest's clock moves on, and the devices are reset behind that. In a replayer the vCPU
 * may be found asleep: it is paused at once, and does all that when it goes on. Its devices were
 * reset some microseconds of the guest's clock too early; the PIT counts from there, a timer
 * expires before its time, and the replay stalls, or differs at the next cut. Measured: 1 of 6
 * reboots; 1 of 6 again when only a warp without events before it was moved.
 *
 *     RESET_REQUESTED, NET, CLOCK_WARP_ACCOUNT, CLOCK   becomes
 *     NET, CLOCK_WARP_ACCOUNT, CLOCK, RESET_REQUESTED
 *
 * What a vCPU does behind the reset cannot be taken for it: the main loop has the replay mutex from
 * the reset on until it has read the clock for its next sleep (`main_loop_wait`, util/main-loop.c),
 * and that is in the log first, of any machine whose clock can be adjusted or is warped.
 *
 * A replayer asks for the reset again and again until it is next in the log
 * (`qemu_reset_requested`, softmmu/runstate.c), and its vCPU, which stands, is woken for what comes
 * before (`icount_start_warp_timer`). No instruction is executed in between on either side.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import { type EventLogReader, segmentReader } from '../../rrlog/reader.ts';

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
    const event = Buffer.from(reader.raw());
    if (!this.#mayBeVcpus(reader.kind)) return [...this.#release(), event];
    this.#held.push(event);
    return [];
  }

  #mayBeVcpus(kind: number): boolean {
    if (this.#isAsync(kind) || kind === this.#warpAccount) return true;
    if (kind !== this.#clock || this.#held.at(-1)?.[0] !== this.#warpAccount) return false;
    // A warp ends once: a second clock is the main loop's.
    return this.#held.every(([before]) => before !== this.#clock);
  }

  #isAsync(kind: number | undefined): boolean {
    return kind !== undefined && this.#asyncFirst <= kind && kind < this.#asyncEnd;
  }

  /** In front of the reset goes all up to the last time that the vCPU did something. */
  #release(): Buffer[] {
    const [reset, ...behind] = this.#held.splice(0);
    if (reset === undefined) return [];
    const kinds = behind.map(([kind]) => kind);
    const last = kinds.findLastIndex(
      (kind, at) =>
        kind === this.#clock || (kind === this.#warpAccount && this.#isAsync(kinds[at - 1])),
    );
    return [...behind.slice(0, last + 1), reset, ...behind.slice(last + 1)];
  }
}
