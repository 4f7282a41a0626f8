/**
 * The incremental reader of an event log: bytes cut anywhere in, whole events out.
 *
 * It is a cursor. `next()` moves it to the next whole event and its fields then describe that
 * event; nothing is allocated per event. Obligations:
 *
 * 1. `next()` is true only for a whole event (or, with `earlyMarkers`, for a marker whose head is
 *    there: its padding means nothing and is dropped when it comes).
 * 2. `end` is always the end of the last whole event, also after `next()` was false or threw.
 * 3. Positions are raw: offsets in QEMU's own file, also when the input is stripped.
 * 4. A chunk may be reused by the caller after `next()` (or `advance()`) was false: an incomplete
 *    event is copied then. `payload()` is a view: valid until the next `push()`.
 * 5. Bytes that cannot be an event throw, with their position, and throw again: a damaged log is
 *    never skipped over.
 */
import { UnderstudyError } from '../base/errors.ts';
import type { Icount, LogPosition } from '../base/units.ts';
import { bounds } from './bounds.ts';
import { eventSize, longAt, netHeadBytes, wordAt } from './event-size.ts';
import { checkVersion, headerBytes, type Layout, shape } from './layouts.ts';
import { type MarkerHead, type MarkerRules, markerHeadBytes, sightMarker } from './marker.ts';

export interface ReaderOptions {
  readonly layout: Layout;
  /** The input begins with the 12-byte header of a log file. */
  readonly expectHeader: boolean;
  /**
   * Where the input begins. @default position 12 and icount 0 (position 0 with `expectHeader`,
   * so that the first event is at 12 too)
   */
  readonly start?: { readonly position: LogPosition; readonly icount: Icount };
  /** Whether markers are whole or cut to their head. @default 'raw' */
  readonly input?: 'raw' | 'stripped';
  /**
   * Report a marker as soon as its head is there. Without effect on stripped input. @default false
   */
  readonly earlyMarkers?: boolean;
  /**
   * Only NET events with this id can be markers (a network filter's id is its creation order,
   * counted from 0). Without it any frame that reaches the guest could forge one, so leave it out
   * only in tools. @default any id
   */
  readonly markerNetId?: number;
}

/**
 * A reader of segments, which begin anywhere: for who asks for the order of events and not for
 * their positions or icounts, which mean nothing then.
 */
export function segmentReader(layout: Layout): EventLogReader {
  return new EventLogReader({ layout, input: 'stripped', expectHeader: false });
}

const empty = Buffer.alloc(0);
const everyKind = new Uint8Array(256).fill(1);

export class EventLogReader {
  readonly layout: Layout;
  readonly #shapes: Uint8Array;
  readonly #net: number;
  readonly #early: boolean;
  readonly #markerRules: MarkerRules;

  #buffer: Buffer = empty;
  /** Offset in the buffer of the event after the current one. */
  #at = 0;
  /** Bytes of the current event in the buffer (its first `#size` before `#at`, if it was whole). */
  #eventAt = 0;
  #eventBytes = 0;
  /** Bytes of the next event, when it did not fit into the buffer. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** Bytes needed before another look at the parts is worth it. */
  #need = 1;
  /** Padding of an early marker still to come. */
  #padding = 0;
  #headerDue: boolean;

  #kind = -1;
  #position: number;
  #end: number;
  #icount: number;
  #count = 0;
  #events = 0;
  #marker: MarkerHead | undefined;
  /** Why the bytes after `#end` cannot be an event. */
  #fault: string | undefined;

  constructor(options: ReaderOptions) {
    this.layout = options.layout;
    this.#shapes = options.layout.shapes;
    this.#net = options.layout.first.net;
    const areStripped = options.input === 'stripped';
    this.#early = options.earlyMarkers === true && !areStripped;
    this.#markerRules = { areStripped, netId: options.markerNetId ?? -1 };
    this.#headerDue = options.expectHeader;
    this.#position = options.start?.position ?? (options.expectHeader ? 0 : headerBytes);
    this.#end = this.#position;
    this.#icount = options.start?.icount ?? 0;
  }

  /** Kind of the current event: an index into `layout.names`. -1 before the first one. */
  get kind(): number {
    return this.#kind;
  }
  /** Raw position where the current event starts. */
  get position(): LogPosition {
    return this.#position as LogPosition;
  }
  /** Raw position where the current, last whole event ends. */
  get end(): LogPosition {
    return this.#end as LogPosition;
  }
  /**
   * Sum of all INSTRUCTION counts up to and including the current event: for an INSTRUCTION, the
   * icount after it; for every other kind, the icount at which the event happens.
   */
  get icount(): Icount {
    return this.#icount as Icount;
  }
  /** Whole events since the start. */
  get events(): number {
    return this.#events;
  }
  /** The marker's head when the current event is a marker. */
  get marker(): MarkerHead | undefined {
    return this.#marker;
  }
  /** Bytes held of an event that is not whole: what a torn log ends with. */
  get pendingBytes(): number {
    return this.#buffer.length - this.#at + this.#partsBytes;
  }
  /** Padding bytes of an early marker that are still to come. */
  get paddingBytes(): number {
    return this.#padding;
  }

  /** The bytes under the cursor; offsets below index it. Valid until `next()` is false. */
  get buffer(): Buffer {
    return this.#buffer;
  }
  /** Offset in `buffer` of the current event. */
  get eventOffset(): number {
    return this.#eventAt;
  }
  /** Offset in `buffer` of what follows the current event. */
  get nextOffset(): number {
    return this.#at;
  }
  /** Bytes of the current event in the input: for an early marker the 42 bytes up to its head. */
  get eventBytes(): number {
    return this.#eventBytes;
  }

  /** INSTRUCTION: how many. */
  get instructionCount(): number {
    return this.#count;
  }
  /** BLOCK: request id. BH, BH_ONESHOT: icount when it was scheduled. Exact up to 2^53. */
  get requestId(): number {
    return longAt(this.#buffer, this.#eventAt + 1);
  }
  /** NET: id of the network filter. */
  get netId(): number {
    return this.#buffer[this.#eventAt + 1] ?? -1;
  }
  /** CHAR_READ: which serial port, in the order of the command line. */
  get charId(): number {
    return this.#buffer[this.#eventAt + 1] ?? -1;
  }
  /** All bytes of the current event, kind byte first, as a view. */
  raw(): Buffer {
    return this.#buffer.subarray(this.#eventAt, this.#eventAt + this.#eventBytes);
  }
  /**
   * The data bytes of an event with a length field (NET, CHAR_READ, CHAR_READ_ALL, RANDOM), or all
   * bytes after the kind byte of any other. A view; an early marker has only its head.
   */
  payload(): Buffer {
    const s = this.#shapes[this.#kind] ?? 0;
    const skip = s & shape.array ? (s & 0x3f) + 4 : 1;
    return this.#buffer.subarray(this.#eventAt + skip, this.#eventAt + this.#eventBytes);
  }

  /** Append bytes of the log. The chunk is looked at by `next()`; see obligation 4. */
  push(chunk: Uint8Array): void {
    let bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#at < this.#buffer.length) this.#keepRest(1);
    if (this.#padding > 0) {
      const dropped = Math.min(this.#padding, bytes.length);
      this.#padding -= dropped;
      bytes = bytes.subarray(dropped);
    }
    if (this.#partsBytes > 0) {
      const total = this.#partsBytes + bytes.length;
      if (total < this.#need) {
        this.#parts.push(Buffer.from(bytes));
        this.#partsBytes = total;
        bytes = empty;
      } else {
        this.#parts.push(bytes);
        bytes = Buffer.concat(this.#parts, total);
        this.#parts = [];
        this.#partsBytes = 0;
      }
    }
    this.#buffer = bytes;
    this.#at = 0;
  }

  /** Move to the next whole event. False when more bytes are needed. */
  next(): boolean {
    return this.advance(everyKind);
  }

  /**
   * Move to the next whole event whose kind is wanted (`wanted[kind] !== 0`), counting the others
   * on the way. Markers always stop it. False when more bytes are needed: `end`, `icount` and
   * `events` then include everything that was whole.
   *
   * @throws UnderstudyError `log-format` at bytes that cannot be an event.
   */
  advance(wanted: Uint8Array): boolean {
    if (this.#headerDue && !this.#readHeader()) return false;
    const buffer = this.#buffer;
    const limit = buffer.length;
    const shapes = this.#shapes;
    // Everything hot is in locals; the fields are written once, below.
    let at = this.#at;
    const base = this.#end - at; // raw position of offset 0
    const eventsBefore = this.#events;
    let events = eventsBefore;
    let sum = this.#icount;
    let start = this.#eventAt;
    let kind = this.#kind;
    let count = this.#count;
    let need = 1;
    let found = false;
    this.#marker = undefined;
    this.#fault = undefined;
    while (at < limit) {
      const k = buffer[at]!;
      let size = shapes[k]!;
      if (size === shape.unknown || size >= shape.input) {
        const told = eventSize(this.layout, buffer, k, at);
        if (typeof told === 'string') {
          this.#fault = told;
          break;
        }
        size = told;
      }
      if (at + size > limit) {
        need = size;
        if (k !== this.#net || !this.#early) break;
        need = this.#sightMarker(at, size);
        if (this.#marker === undefined) break;
        this.#padding = at + size - limit;
        size = limit - at;
      } else if (k === 0) {
        count =
          buffer[at + 1]! * 0x100_0000 +
          ((buffer[at + 2]! << 16) | (buffer[at + 3]! << 8) | buffer[at + 4]!);
        if (count === 0 || count > bounds.instructionCountMax) {
          this.#fault = `an INSTRUCTION count of ${count} is impossible`;
          break;
        }
        sum += count;
      } else if (k === this.#net) {
        this.#sightMarker(at, size);
      }
      start = at;
      kind = k;
      at += size;
      events++;
      if (wanted[k] !== 0 || this.#marker !== undefined) {
        found = true;
        break;
      }
    }
    if (events > eventsBefore) {
      this.#events = events;
      this.#icount = sum;
      this.#kind = kind;
      this.#count = count;
      this.#eventAt = start;
      this.#eventBytes = this.#padding > 0 ? netHeadBytes + markerHeadBytes : at - start;
      this.#position = base + start;
      const marker = this.#marker as MarkerHead | undefined;
      this.#end =
        marker === undefined ? base + at : base + start + netHeadBytes + marker.originalBytes;
      this.#at = at;
    }
    if (found) return true;
    if (this.#fault !== undefined) this.#fail(this.#fault);
    this.#keepRest(need);
    return false;
  }

  /** Sets `#marker` if the NET event at an offset is one. Returns the bytes needed to decide. */
  #sightMarker(at: number, size: number): number {
    const seen = sightMarker(this.#buffer, at, size, this.#markerRules);
    if (typeof seen === 'number') return seen;
    this.#marker = seen;
    return size;
  }

  /**
   * Take the header now, if it is due and here; `advance()` does it anyway. True when it is
   * behind us.
   *
   * @throws UnderstudyError `log-format` at an unknown version word.
   */
  skipHeader(): boolean {
    return !this.#headerDue || this.#readHeader();
  }

  #readHeader(): boolean {
    if (this.#buffer.length - this.#at < headerBytes) {
      this.#keepRest(headerBytes);
      return false;
    }
    checkVersion(this.layout, wordAt(this.#buffer, this.#at));
    this.#at += headerBytes;
    this.#end += headerBytes;
    this.#position = this.#end;
    this.#headerDue = false;
    return true;
  }

  #fail(what: string): never {
    throw new UnderstudyError('log-format', `event log: ${what} at position ${this.#end}`, {
      hint: `check that the log is of QEMU ${this.layout.qemu} and that it starts at an event`,
    });
  }

  /** Leave the buffer: copy the incomplete event, so that the chunk is the caller's again. */
  #keepRest(need: number): void {
    if (this.#at < this.#buffer.length) {
      const rest = Buffer.from(this.#buffer.subarray(this.#at));
      this.#parts.push(rest);
      this.#partsBytes += rest.length;
      this.#need = need;
    }
    this.#buffer = empty;
    this.#at = 0;
    this.#eventAt = 0;
    this.#eventBytes = 0;
  }
}
