/**
 * A segment's events by columns: what is alike lies together, and packs twice as well.
 *
 * Most of a log are kinds that come again and again in the same order, clock readings that grow by
 * a little, and counts of instructions. In the log they alternate, and deflate sees fresh bytes
 * after every few it knows. Here all kinds come first, then all counts, then all readings as the
 * difference to the one before of the same clock, each in as many bytes as it needs.
 *
 *   varint   bytes of kinds, of counts, of clocks, of payloads
 *   kinds    u8 each
 *   counts   varint each: INSTRUCTION
 *   clocks   varint each: CLOCK; one more than the difference modulo 2^64. One of 2^52 or more is
 *            a varint of 0 and 8 bytes, big-endian
 *   payloads what follows the kind byte, of all other events
 *   rest     bytes after the last whole event
 *
 * A varint has 7 bits a byte, lowest first; all but its last byte have the highest bit set.
 *
 * The last readings are kept from segment to segment: both sides must see the same segments in the
 * same order.
 */
import { UnderstudyError } from '../base/errors.ts';
import { eventSize, wordAt } from './event-size.ts';
import { type Layout, shape } from './layouts.ts';

const word = 0x1_0000_0000;
/** Of a difference, 32 bits up: below it, it is exact as a number with one to spare. */
const highMax = 0x10_0000;
const clockBytes = 9;
const instructionBytes = 5;

/** No event is longer in columns, and their lengths come on top. */
export const columnBytesMax = (bytes: number): number => bytes + 4 * instructionBytes;

/** Bytes that are appended, or taken from the front. */
class Column {
  bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  putVarint(value: number): void {
    let left = value;
    while (left >= 0x80) {
      this.bytes[this.at++] = (left % 0x80) | 0x80;
      left = Math.floor(left / 0x80);
    }
    this.bytes[this.at++] = left;
  }

  takeVarint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.bytes[this.at++];
      if (byte === undefined || scale > 2 ** 49) throw damaged();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  get isEmpty(): boolean {
    return this.at === this.bytes.length;
  }
}

export class EventColumns {
  readonly #layout: Layout;
  readonly #isClock: readonly boolean[];
  readonly #high: number[];
  readonly #low: number[];
  #scratch = Buffer.alloc(0);

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#isClock = layout.families.map((family) => family === 'clock');
    this.#high = new Array<number>(layout.count).fill(0);
    this.#low = new Array<number>(layout.count).fill(0);
  }

  /** The columns of the next segment. Throws `log-format` when its bytes are not events. */
  split(segment: Uint8Array): Buffer {
    const events = Buffer.from(segment.buffer, segment.byteOffset, segment.length);
    const { kinds, counts, clocks, payloads } = this.#columnsOf(events.length);
    let at = 0;
    while (at < events.length) {
      const kind = events[at]!;
      const size = this.#sizeOf(events, kind, at);
      if (at + size > events.length) break;
      kinds.bytes[kinds.at++] = kind;
      if (kind === 0) counts.putVarint(wordAt(events, at + 1));
      else if (this.#isClock[kind]) this.#putClock(clocks, kind, events, at + 1);
      else payloads.at += events.copy(payloads.bytes, payloads.at, at + 1, at + size);
      at += size;
    }
    const heads = new Column(Buffer.alloc(4 * instructionBytes));
    const columns = [kinds, counts, clocks, payloads];
    for (const column of columns) heads.putVarint(column.at);
    const parts = [heads, ...columns].map(({ bytes, at: end }) => bytes.subarray(0, end));
    return Buffer.concat([...parts, events.subarray(at)]);
  }

  /** The `bytes` bytes that were split. Throws `log-format` when it cannot be these columns. */
  join(columns: Buffer, bytes: number): Buffer {
    const heads = new Column(columns);
    const sizes = [0, 0, 0, 0].map(() => heads.takeVarint());
    let from = heads.at;
    const [kinds, counts, clocks, payloads] = sizes.map((size) => {
      if (from + size > columns.length) throw damaged();
      from += size;
      return new Column(columns.subarray(from - size, from));
    }) as [Column, Column, Column, Column];
    const rest = columns.subarray(from);
    const events = Buffer.alloc(bytes);
    let at = 0;
    for (const kind of kinds.bytes) {
      // An event's size is in what follows its kind, if its kind does not tell.
      const size = this.#sizeOf(payloads.bytes, kind, payloads.at - 1);
      if (at + size > bytes) throw damaged();
      events[at] = kind;
      if (kind === 0) {
        events.writeUInt32BE(counts.takeVarint() % word, at + 1);
      } else if (this.#isClock[kind]) {
        this.#takeClock(clocks, kind, events, at + 1);
      } else {
        if (payloads.at + size - 1 > payloads.bytes.length) throw damaged();
        payloads.bytes.copy(events, at + 1, payloads.at, payloads.at + size - 1);
        payloads.at += size - 1;
      }
      at += size;
    }
    const isWhole = at + rest.length === bytes;
    if (!isWhole || ![counts, clocks, payloads].every(({ isEmpty }) => isEmpty)) throw damaged();
    rest.copy(events, at);
    return events;
  }

  /** Room for each, whatever the events are: no column is longer than the events it is made of. */
  #columnsOf(bytes: number) {
    if (this.#scratch.length < 4 * bytes) this.#scratch = Buffer.allocUnsafe(8 * bytes);
    const column = (n: number) => new Column(this.#scratch.subarray(n * bytes, (n + 1) * bytes));
    return { kinds: column(0), counts: column(1), clocks: column(2), payloads: column(3) };
  }

  #sizeOf(events: Buffer, kind: number, at: number): number {
    const size = this.#layout.shapes[kind]!;
    if (size !== shape.unknown && size < shape.input) return size;
    const told = eventSize(this.#layout, events, kind, at);
    if (typeof told === 'string') throw new UnderstudyError('log-format', `event log: ${told}`);
    return told;
  }

  #putClock(clocks: Column, kind: number, events: Buffer, at: number): void {
    const high = wordAt(events, at);
    const low = wordAt(events, at + 4);
    const less = low - this.#low[kind]!;
    const up = (high - this.#high[kind]! - (less < 0 ? 1 : 0)) >>> 0;
    this.#high[kind] = high;
    this.#low[kind] = low;
    if (up < highMax) {
      clocks.putVarint(up * word + (less >>> 0) + 1);
      return;
    }
    clocks.putVarint(0);
    clocks.bytes.writeUInt32BE(up, clocks.at);
    clocks.bytes.writeUInt32BE(less >>> 0, clocks.at + 4);
    clocks.at += clockBytes - 1;
  }

  #takeClock(clocks: Column, kind: number, events: Buffer, at: number): void {
    let difference = clocks.takeVarint() - 1;
    let up = Math.floor(difference / word);
    if (difference < 0) {
      if (clocks.at + clockBytes - 1 > clocks.bytes.length) throw damaged();
      up = wordAt(clocks.bytes, clocks.at);
      difference = wordAt(clocks.bytes, clocks.at + 4);
      clocks.at += clockBytes - 1;
    }
    const sum = (difference % word) + this.#low[kind]!;
    const high = (up + this.#high[kind]! + (sum >= word ? 1 : 0)) >>> 0;
    this.#high[kind] = high;
    this.#low[kind] = sum >>> 0;
    events.writeUInt32BE(high, at);
    events.writeUInt32BE(sum >>> 0, at + 4);
  }
}

const damaged = (): UnderstudyError =>
  new UnderstudyError('log-format', 'event log: these are not the columns of a segment');
