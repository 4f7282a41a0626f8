/**
 * Takes one event without effect out of the log behind a stop, before a replayer is fed with it:
 * behind a cut, and behind a stop that was meant to be one and was taken back.
 *
 * When a card has a transmission pending at the cut, the primary's `cont` arms that card's timer
 * before the vCPU is resumed. With all vCPUs still standing QEMU believes that the machine is idle
 * and logs CLOCK_WARP_START and a clock (`timerlist_rearm`, util/qemu-timer.c). Mostly that does
 * nothing: the guest's clock is disabled until the vCPU is resumed (`icount_start_warp_timer`,
 * softmmu/icount.c). A replayer meets the event after its own `cont`, where it does start a warp:
 * its guest's clock runs ahead by some 15 us, a timer fires too early, and it stalls within 30 ms.
 * Measured: 9 of 144 replicas under network load, each of them with a transmission pending.
 *
 * The log tells whether a warp was started: ending one reads the clock once more
 * (`icount_warp_rt`), right behind the CLOCK_WARP_ACCOUNT with which a resumed vCPU begins, or as a
 * third clock behind a CLOCK_VIRTUAL_RT checkpoint. Without such a reading there was no warp. With
 * it there may have been two starts in a row: that of `cont`, without effect, and that of the main
 * loop, which finds the vCPU asleep. One turn of the main loop makes one start, so a second one in
 * the same turn tells that the first was that of `cont`.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import { type EventLogReader, segmentReader } from '../../rrlog/reader.ts';

interface LoggedEvent {
  readonly name: string;
  readonly bytes: Buffer;
}

/** More than this before the vCPU begins means that this is no log behind a cut. */
const heldEventsMax = 100_000;

export class StartFilter {
  readonly #reader: EventLogReader;
  /** Events since the first warp start, until it is known whether it did something. */
  readonly #held: LoggedEvent[] = [];
  #done = false;

  constructor(layout: Layout) {
    this.#reader = segmentReader(layout);
  }

  /** True when everything from here on passes as it is. */
  get done(): boolean {
    return this.#done;
  }

  /** Takes whole events; returns what the replayer is to be fed, which may be nothing yet. */
  push(bytes: Buffer): Buffer {
    if (this.#done) return bytes;
    const reader = this.#reader;
    const out: Buffer[] = [];
    reader.push(bytes);
    while (!this.#done && reader.next()) {
      const name = reader.layout.names[reader.kind] ?? '';
      this.#take({ name, bytes: Buffer.from(reader.raw()) }, out);
    }
    if (this.#done) out.push(Buffer.from(reader.buffer.subarray(reader.nextOffset)));
    return Buffer.concat(out);
  }

  /**
   * The log ends here: gives what was held. A warp that nobody saw end is left out; a machine that
   * goes on from there starts it anew when it is idle.
   */
  flush(): Buffer {
    this.#done = true;
    return Buffer.concat(withoutWarpStarts(this.#held.splice(0)).map(({ bytes }) => bytes));
  }

  #take(event: LoggedEvent, out: Buffer[]): void {
    const before = this.#held.at(-1)?.name;
    if (this.#held.length === 0 && event.name !== 'checkpoint:clock-warp-start') {
      out.push(event.bytes);
      this.#done = isVcpuBegin(event.name);
      return;
    }
    this.#held.push(event);
    // Decided by the event behind the vCPU's first one.
    if (before === undefined || !(isVcpuBegin(before) || this.#held.length > heldEventsMax)) return;
    const kept = startedWarp(this.#held)
      ? withoutStartOfCont(this.#held)
      : withoutWarpStarts(this.#held);
    out.push(...kept.map(({ bytes }) => bytes));
    this.#held.length = 0;
    this.#done = true;
  }
}

const isVcpuBegin = (name: string): boolean =>
  name === 'checkpoint:clock-warp-account' || name === 'instruction';

const isStart = (event: LoggedEvent | undefined): boolean =>
  event?.name === 'checkpoint:clock-warp-start';

const isClock = (event: LoggedEvent | undefined): boolean => event?.name === 'clock:virtual-rt';

/** True when a warp ended, or may have. */
function startedWarp(events: readonly LoggedEvent[]): boolean {
  return events.some(({ name }, at) => {
    if (name === 'checkpoint:clock-warp-account') return isClock(events[at + 1]);
    if (name !== 'checkpoint:clock-virtual-rt') return false;
    return [1, 2, 3].every((next) => isClock(events[at + next]));
  });
}

/** Without the first of two starts in one turn of the main loop; `events` begins with a start. */
function withoutStartOfCont(events: readonly LoggedEvent[]): readonly LoggedEvent[] {
  return isClock(events[1]) && isStart(events[2]) ? events.slice(2) : events;
}

/** Without the warp starts and the clock that each of them read. */
function withoutWarpStarts(events: readonly LoggedEvent[]): LoggedEvent[] {
  return events.filter(
    (event, at) => !(isStart(event) || (isClock(event) && isStart(events[at - 1]))),
  );
}
