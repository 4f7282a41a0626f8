/**
 * The flush marker: a frame that ends an epoch.
 *
 * Purpose: QEMU writes its log through a 4 KiB buffer that it never flushes. A marker frame, sent
 * to the network backend `pad` that no device uses, is recorded as a NET event and is long enough
 * to push everything recorded before it out of that buffer. It also carries the epoch number to an
 * exact position of the log.
 *
 * Its padding is worth nothing, so on the wire the event is *stripped*: the payload is cut to the
 * 32-byte head, and the event's length field says 32. The head holds the original length, from
 * which the reader of a stripped log restores raw positions.
 *
 *      0        8  9     12        16               24      28      32
 *      +--------+--+-----+---------+----------------+-------+-------+- - - - -
 *      | magic  |v1|  0  | bytes   | epoch          |   0   | crc32 | padding
 *      +--------+--+-----+---------+----------------+-------+-------+- - - - -
 *        8 bytes u8 u24   u32       u64              u32     u32 of bytes 0-27
 *
 * All numbers are big-endian, as in the log. The first 12 bytes of a frame are Ethernet
 * addresses: the magic starts with 0x55 (group bit set, locally administered bit clear), so no
 * station answers to it.
 */
import { crc32 } from 'node:zlib';
import { UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type Epoch, epoch as toEpoch } from '../base/units.ts';
import { bounds } from './bounds.ts';
import { netHeadBytes, wordAt } from './event-size.ts';

/** Bytes of a marker that carry information. */
export const markerHeadBytes = 32;

/** First eight bytes of every marker frame. */
const markerMagic = Buffer.from([0x55, 0x4e, 0x44, 0x53, 0x54, 0x44, 0x59, 0x0a]);

/** First four bytes of the magic as a big-endian number: a quick test. */
const markerMagicWord = markerMagic.readUInt32BE(0);

const formatVersion = 1;

/** A marker of this one ends no epoch: it only pushes out what is before it. */
export const noEpoch: Epoch = toEpoch(0);

export interface MarkerHead {
  /** The epoch that this marker ends, or `noEpoch`. */
  readonly epoch: Epoch;
  /** Length of the frame as it was sent, in bytes. */
  readonly originalBytes: number;
}

/**
 * A frame that ends `epoch` when it is sent to the `pad` backend.
 *
 * @param frameBytes length of the frame: at least a stdio buffer and a head, or it would not push
 * itself out; at most what QEMU takes as one packet.
 * @throws UnderstudyError `config` when the length is out of these bounds.
 */
export function encodeMarkerFrame(
  epoch: Epoch,
  frameBytes: number = limits.markerFrameBytes,
): Buffer {
  if (
    !Number.isInteger(frameBytes) ||
    frameBytes < limits.markerFrameBytes ||
    frameBytes > bounds.netBytesMax
  ) {
    throw new UnderstudyError(
      'config',
      `a marker frame must have ${limits.markerFrameBytes} to ${bounds.netBytesMax} bytes: ` +
        `current value is ${frameBytes}`,
    );
  }
  const frame = Buffer.alloc(frameBytes);
  writeMarkerHead(frame, { epoch, originalBytes: frameBytes });
  return frame;
}

function writeMarkerHead(into: Buffer, head: MarkerHead): void {
  markerMagic.copy(into, 0);
  into.writeUInt8(formatVersion, 8);
  into.writeUInt32BE(head.originalBytes, 12);
  into.writeBigUInt64BE(BigInt(head.epoch), 16);
  into.writeUInt32BE(crc32(into.subarray(0, 28)), 28);
}

/**
 * Read the head of a marker. `undefined` when the bytes are not one: too short, another magic, an
 * unknown format version, a wrong checksum or values that no encoder writes.
 */
export function decodeMarkerHead(bytes: Uint8Array): MarkerHead | undefined {
  if (bytes.length < markerHeadBytes) return undefined;
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, markerHeadBytes);
  if (head.compare(markerMagic, 0, 8, 0, 8) !== 0) return undefined;
  if (head.readUInt32BE(28) !== crc32(head.subarray(0, 28))) return undefined;
  if (head.readUInt32BE(8) !== formatVersion * 0x100_0000) return undefined;
  const originalBytes = head.readUInt32BE(12);
  if (originalBytes < limits.markerFrameBytes || originalBytes > bounds.netBytesMax) {
    return undefined;
  }
  const epoch = Number(head.readBigUInt64BE(16));
  return Number.isSafeInteger(epoch) ? { epoch: toEpoch(epoch), originalBytes } : undefined;
}

/** Which NET events can be markers. */
export interface MarkerRules {
  /** They are cut to their head. */
  readonly areStripped: boolean;
  /** Id of the network filter that they come from; -1: any. */
  readonly netId: number;
}

/**
 * The head of the marker at an offset, if the NET event there is one and its head is here. Else the
 * bytes of the event that are needed to decide (or all of it, if it is not one).
 */
export function sightMarker(
  buffer: Buffer,
  at: number,
  size: number,
  { areStripped, netId }: MarkerRules,
): MarkerHead | number {
  const here = buffer.length - at;
  if (here < netHeadBytes) return size;
  if (netId >= 0 && buffer[at + 1] !== netId) return size;
  const length = wordAt(buffer, at + 6);
  if (areStripped ? length !== markerHeadBytes : length <= markerHeadBytes) return size;
  if (here < netHeadBytes + markerHeadBytes) return netHeadBytes + markerHeadBytes;
  const from = at + netHeadBytes;
  if (wordAt(buffer, from) !== markerMagicWord) return size;
  const head = decodeMarkerHead(buffer.subarray(from, from + markerHeadBytes));
  return head !== undefined && (areStripped || head.originalBytes === length) ? head : size;
}
