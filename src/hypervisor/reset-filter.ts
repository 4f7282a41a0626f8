/**
 * Puts the end of a warp in front of the guest's reset, where a replayer meets it for certain.
 *
 * A reset pauses the vCPU, which may be about to enter its loop: then it accounts for the warp that
 * is under way (CLOCK_WARP_ACCOUNT and a clock), the guest's clock moves on, and the devices are
 * reset behind that. In a replayer the vCPU may be found asleep: it is paused at once, and accounts
 * when it goes on. Its devices were reset some microseconds of the guest's clock too early; the PIT
 * counts from there, a timer expires before its time, and the replay stalls. Measured: 1 of 6
 * reboots.
 *
 *     RESET_REQUESTED, CLOCK_WARP_ACCOUNT, CLOCK   becomes   CLOCK_WARP_ACCOUNT, CLOCK, RESET_REQUESTED
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
  /** A reset, and the checkpoint behind it. */
  #held: Buffer[] = [];

  constructor(layout: Layout) {
    const { names } = layout;
    this.#warpAccount = names.indexOf('checkpoint:clock-warp-account');
    this.#clock = names.indexOf('clock:virtual-rt');
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
    return Buffer.concat(this.#held.splice(0));
  }

  #takeBehindReset(reader: EventLogReader): Buffer[] {
    const event = Buffer.from(reader.raw());
    if (this.#held.length === 1 && reader.kind === this.#warpAccount) {
      this.#held.push(event);
      return [];
    }
    const [reset, account] = this.#held.splice(0) as [Buffer, Buffer?];
    if (account === undefined) return [reset, event];
    return reader.kind === this.#clock ? [account, event, reset] : [reset, account, event];
  }
}
