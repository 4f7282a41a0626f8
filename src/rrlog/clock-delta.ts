/**
 * Clock values as differences: makes a log of mostly clock readings pack twice as well.
 *
 * More than half of an idle log are CLOCK events, 8-byte nanoseconds that grow by a little each
 * time. Deflate sees eight fresh bytes in each; as a difference to the reading of the same clock
 * before it, six or seven of them are zero. Sizes and kinds of events do not change, so the other
 * side finds the same events and adds the differences up again.
 *
 * The last readings are kept from segment to segment: both sides must see the same segments in the
 * same order.
 */
import type { Icount, LogPosition } from '../base/units.ts';
import type { Layout } from './layouts.ts';
import { EventLogReader } from './reader.ts';

const start = { position: 0 as LogPosition, icount: 0 as Icount };
const word = 0x1_0000_0000;

export class ClockDelta {
  readonly #layout: Layout;
  readonly #clocks: Uint8Array;
  readonly #high: number[];
  readonly #low: number[];

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#clocks = Uint8Array.from({ length: 256 }, (_, k) =>
      layout.families[k] === 'clock' ? 1 : 0,
    );
    this.#high = new Array<number>(layout.count).fill(0);
    this.#low = new Array<number>(layout.count).fill(0);
  }

  /**
   * Turn readings into differences, in place. Bytes after the last whole event stay as they are.
   *
   * @throws UnderstudyError `log-format` when the bytes are not events.
   */
  forward(events: Buffer): void {
    this.#each(events, (at, kind) => {
      const high = events.readUInt32BE(at);
      const low = events.readUInt32BE(at + 4);
      const less = low - this.#low[kind]!;
      const borrow = less < 0 ? 1 : 0;
      events.writeUInt32BE((high - this.#high[kind]! - borrow) >>> 0, at);
      events.writeUInt32BE(less >>> 0, at + 4);
      this.#high[kind] = high;
      this.#low[kind] = low;
    });
  }

  /** Undo `forward`, in place. */
  inverse(events: Buffer): void {
    this.#each(events, (at, kind) => {
      const sum = events.readUInt32BE(at + 4) + this.#low[kind]!;
      const carry = sum >= word ? 1 : 0;
      const high = (events.readUInt32BE(at) + this.#high[kind]! + carry) >>> 0;
      const low = sum >>> 0;
      events.writeUInt32BE(high, at);
      events.writeUInt32BE(low, at + 4);
      this.#high[kind] = high;
      this.#low[kind] = low;
    });
  }

  #each(events: Buffer, visit: (valueAt: number, kind: number) => void): void {
    const reader = new EventLogReader({ layout: this.#layout, expectHeader: false, start });
    reader.push(events);
    while (reader.advance(this.#clocks)) {
      if (this.#clocks[reader.kind] === 1) visit(reader.eventOffset + 1, reader.kind);
    }
  }
}
