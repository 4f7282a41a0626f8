/**
 * Packing of segments for the wire and the spool, and the check of what comes back.
 *
 * Segments are small (hundreds of bytes to a few KiB) and much alike. `SegmentPacker` uses that:
 * events are put into columns (columns.ts), and deflate gets the end of the segments before as its
 * dictionary. It is synchronous on purpose: for such sizes zlib's worker threads cost three to five
 * times the CPU of the compression itself. Both sides must see the same segments in the same order;
 * a gap is found by the checksum. `pack` packs bytes on their own.
 *
 *      0       1        5        9
 *      +-------+--------+--------+- - - - - - -   codec: 0 stored, 1 deflate, 2 segment,
 *      | codec | bytes  | crc32  | packed bytes          3 columns, 4 plain
 *      +-------+--------+--------+- - - - - - -   bytes, crc32: of the unpacked bytes
 *        u8      u32      u32                     deflate is raw (RFC 1951)
 *
 * Codec 4 is the segment as it is, which neither side remembers for those behind it. Codec 2 is
 * only read: logs that were kept before there were columns have it (clock-delta.ts).
 */
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { UnderstudyError } from '../base/errors.ts';
import { bounds } from './bounds.ts';
import { ClockDelta } from './clock-delta.ts';
import { columnBytesMax, EventColumns } from './columns.ts';
import type { Layout } from './layouts.ts';

const codecs = ['stored', 'deflate', 'segment', 'columns', 'plain'] as const;
type Codec = (typeof codecs)[number];

/** Bytes before the packed ones. */
export const packHeadBytes = 9;

function frame(codec: Codec, unpacked: Uint8Array, packed: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(packHeadBytes + packed.length);
  framed.writeUInt8(codecs.indexOf(codec), 0);
  framed.writeUInt32BE(unpacked.length, 1);
  framed.writeUInt32BE(crc32(unpacked), 5);
  framed.set(packed, packHeadBytes);
  return framed;
}

interface Opened {
  readonly codec: Codec;
  readonly bytes: number;
  readonly crc: number;
  readonly data: Buffer;
}

/** Check the head: nothing is unpacked before its size is known to be acceptable. */
function open(packed: Uint8Array, maxBytes: number): Opened {
  const all = Buffer.from(packed.buffer, packed.byteOffset, packed.length);
  if (all.length < packHeadBytes) throw refused(`it has only ${all.length} bytes`);
  const codec = codecs[all.readUInt8(0)];
  if (codec === undefined) throw refused(`codec ${all.readUInt8(0)} is unknown`);
  const bytes = all.readUInt32BE(1);
  if (bytes > maxBytes) throw refused(`it would unpack to ${bytes} bytes, above ${maxBytes}`);
  return { codec, bytes, crc: all.readUInt32BE(5), data: all.subarray(packHeadBytes) };
}

/**
 * Segments are small: of zlib's default, a quarter of a megabyte, most of the time goes into
 * clearing it.
 */
const segmentMemLevel = 5;

/** zlib's output buffer, in which all of it has room: its default is 16 KiB, for each segment. */
function outputOf(bytes: number): { readonly chunkSize: number } {
  return { chunkSize: Math.min(bytes + outputBytesMin, outputBytesMax) };
}
const outputBytesMin = 64; // zlib refuses less
const outputBytesMax = 65_536; // what a damaged head says is not taken at its word

/**
 * zlib's window, no larger than all that there is to look back at, dictionary included: with its
 * default four tables of 64 KiB are made, and cleared, for each segment. A reader's holds whatever
 * a writer could refer to, with any window of its own.
 */
function windowOf(bytes: number): { readonly windowBits: number } {
  const bits = Math.ceil(Math.log2(bytes + lookaheadBytes));
  return { windowBits: Math.min(windowBitsMax, Math.max(windowBitsMin, bits)) };
}
const lookaheadBytes = 262; // of a window that deflate does not look back at (MIN_LOOKAHEAD)
const windowBitsMin = 9;
const windowBitsMax = 15;

/** `bytesMax`: what it may unpack to. @default what its head says */
function inflate(
  opened: Opened,
  dictionary: Buffer | undefined,
  bytesMax: number = opened.bytes,
): Buffer {
  // zlib refuses a limit of 0; a longer output than announced is caught by the length check.
  const limit = {
    maxOutputLength: Math.max(bytesMax, 1),
    ...outputOf(bytesMax),
    ...windowOf((dictionary?.length ?? 0) + bytesMax),
  };
  try {
    return inflateRawSync(opened.data, dictionary ? { ...limit, dictionary } : limit);
  } catch (error) {
    throw refused('its deflate data is damaged', error);
  }
}

function check(unpacked: Buffer, { bytes, crc }: Opened): Buffer {
  if (unpacked.length !== bytes) {
    throw refused(`it says ${bytes} bytes and has ${unpacked.length}`);
  }
  const actual = crc32(unpacked);
  if (actual !== crc) {
    throw refused(`its checksum is 0x${actual.toString(16)}, expected 0x${crc.toString(16)}`);
  }
  return unpacked;
}

function refused(why: string, cause?: unknown): UnderstudyError {
  return new UnderstudyError('log-format', `cannot unpack a segment: ${why}`, { cause });
}

/**
 * Pack bytes of any kind on their own. `deflate` falls back to `stored` where it would not help.
 */
export function pack(bytes: Uint8Array, codec: 'stored' | 'deflate' = 'deflate'): Buffer {
  if (codec === 'deflate' && bytes.length >= bounds.deflateFromBytes) {
    const packed = deflateRawSync(bytes, { level: 1, ...outputOf(bytes.length) });
    if (packed.length < bytes.length) return frame('deflate', bytes, packed);
  }
  return frame('stored', bytes, bytes);
}

/**
 * Unpack what `pack` made. The result may share memory with the input.
 *
 * @throws UnderstudyError `log-format` when it is damaged, would exceed `maxBytes`, or can be
 * unpacked only by a `SegmentUnpacker`.
 */
export function unpack(packed: Uint8Array, maxBytes: number = bounds.unpackedBytesMax): Buffer {
  const opened = open(packed, maxBytes);
  if (opened.codec === 'segment' || opened.codec === 'columns') {
    throw refused('it needs the segments before it');
  }
  return check(opened.codec !== 'deflate' ? opened.data : inflate(opened, undefined), opened);
}

/** The end of what went before, in the form deflate saw it. */
class History {
  #bytes: Buffer = Buffer.alloc(0);

  get dictionary(): Buffer | undefined {
    return this.#bytes.length > 0 ? this.#bytes : undefined;
  }

  append(bytes: Buffer): void {
    const kept = Math.max(0, bounds.dictionaryBytes - bytes.length);
    const old = this.#bytes.subarray(Math.max(0, this.#bytes.length - kept));
    this.#bytes = Buffer.concat([old, bytes.subarray(-bounds.dictionaryBytes)]);
  }
}

/** The sending side of a connection: one for each, from its first segment on. */
export class SegmentPacker {
  readonly #columns: EventColumns;
  readonly #history = new History();

  constructor(layout: Layout) {
    this.#columns = new EventColumns(layout);
  }

  /** The next segment as it is, for a link with room: packing takes a processor its time. */
  plain(bytes: Uint8Array): Buffer {
    return frame('plain', bytes, bytes);
  }

  /**
   * Pack the next segment's bytes.
   *
   * @throws UnderstudyError `log-format` when they are not events.
   */
  pack(bytes: Uint8Array): Buffer {
    const columns = this.#columns.split(bytes);
    const { dictionary } = this.#history;
    this.#history.append(columns);
    if (bytes.length >= bounds.deflateFromBytes) {
      const level = bytes.length <= bounds.deflateHardBytesMax ? 6 : 1;
      const options = {
        ...{ level, memLevel: segmentMemLevel },
        ...outputOf(columns.length),
        ...windowOf((dictionary?.length ?? 0) + columns.length),
      };
      const packed = deflateRawSync(columns, dictionary ? { ...options, dictionary } : options);
      if (packed.length < bytes.length) return frame('columns', bytes, packed);
    }
    return frame('stored', bytes, bytes);
  }
}

/** Reads codec 2: clock readings as differences in place, and the segments before as dictionary. */
class DeltaUnpacker {
  readonly #delta: ClockDelta;
  readonly #history = new History();

  constructor(layout: Layout) {
    this.#delta = new ClockDelta(layout);
  }

  /** A segment that is as it was. */
  passed(events: Buffer): void {
    const deltas = Buffer.from(events);
    this.#delta.forward(deltas);
    this.#history.append(deltas);
  }

  unpack(opened: Opened): Buffer {
    const deltas = inflate(opened, this.#history.dictionary);
    this.#history.append(deltas);
    this.#delta.inverse(deltas);
    return check(deltas, opened);
  }
}

/** The receiving side of a connection. */
export class SegmentUnpacker {
  readonly #columns: EventColumns;
  readonly #history = new History();
  /** One packer made all of it, so that what has columns has nothing of codec 2. */
  #deltas: DeltaUnpacker | undefined;
  readonly #maxBytes: number;

  constructor(layout: Layout, options: { readonly maxBytes?: number } = {}) {
    this.#columns = new EventColumns(layout);
    this.#deltas = new DeltaUnpacker(layout);
    this.#maxBytes = options.maxBytes ?? bounds.unpackedBytesMax;
  }

  /**
   * Unpack the next segment. The result may share memory with the input.
   *
   * @throws UnderstudyError `log-format` when it is damaged, too large or out of order; the
   * unpacker is of no use after that.
   */
  unpack(packed: Uint8Array): Buffer {
    const opened = open(packed, this.#maxBytes);
    if (opened.codec === 'plain') return check(opened.data, opened);
    if (opened.codec === 'segment') {
      if (this.#deltas === undefined)
        throw refused('it is of an earlier version than those before');
      return this.#deltas.unpack(opened);
    }
    if (opened.codec === 'columns') {
      this.#deltas = undefined;
      const columns = inflate(opened, this.#history.dictionary, columnBytesMax(opened.bytes));
      this.#history.append(columns);
      return check(this.#columns.join(columns, opened.bytes), opened);
    }
    const bytes = unpack(packed, this.#maxBytes);
    this.#history.append(this.#columns.split(bytes));
    this.#deltas?.passed(bytes);
    return bytes;
  }
}
