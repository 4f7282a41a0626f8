/**
 * Frames: the binary layout of everything that crosses a link. One frame a WebSocket message.
 *
 *  every frame
 *      0      2    3      4       8              16
 *      +------+----+------+-------+--------------+- - - - - -
 *      | "US" | v2 | type | crc32 | term         | body
 *      +------+----+------+-------+--------------+- - - - - -
 *        u16    u8   u8     u32     u64            crc32: of all bytes but its own
 *
 *  1 control    body: one msgpack map (control.ts)
 *
 *  2 log
 *      16        24        32        40         44      45    48
 *      +---------+---------+---------+----------+-------+-----+- - - - -
 *      | from    | to      | icount  | rawBytes | codec |  0  | payload
 *      +---------+---------+---------+----------+-------+-----+- - - - -
 *        u64       u64       u64       u32        u8      u24
 *
 *  3 blob
 *      16       17      18          24        32
 *      +--------+-------+-----------+---------+- - - - -
 *      | stream | flags | zeroBytes | offset  | payload     flags: bit 0 = last
 *      +--------+-------+-----------+---------+- - - - -
 *        u8       u8      u48         u64                   zeroBytes: 0, or there is no payload
 *
 *  4 ack
 *      16         24               32
 *      +----------+----------------+
 *      | received | appliedIcount  |
 *      +----------+----------------+
 *        u64        u64
 *
 * All numbers are big-endian, as in the event log. A u64 holds at most 2^53-1. The length of a
 * frame is known from its message, so no length is stored. Decoding copies nothing: a payload is a
 * view.
 */
import { crc32 } from 'node:zlib';
import { UnderstudyError } from '../base/errors.ts';
import type { Icount, LogPosition, Term } from '../base/units.ts';
import type { AckFrame, BlobFrame, LogFrame } from '../ports/link.ts';
import { wireLimits } from './limits.ts';

/** A control frame whose payload is still packed. */
interface PackedControlFrame {
  readonly kind: 'control';
  readonly term: Term;
  readonly payload: Uint8Array;
}

export type Frame = LogFrame | BlobFrame | AckFrame | PackedControlFrame;

/** Raised when a layout above changes. */
const frameVersion = 2;

const magic = 0x5553;
/** Magic and version as one number: the decoder's first test. */
const magicAndVersion = magic * 0x100 + frameVersion;
const types = { control: 1, log: 2, blob: 3, ack: 4 } as const;
const crcOffset = 4;
/** The checksum of the first four bytes, by type: they are constant, so most of it is known. */
const headCrcs = [0, 1, 2, 3, 4].map((type) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(magicAndVersion * 0x100 + type, 0);
  return crc32(head);
});
const headBytes = 16;
const logHeadBytes = 48;
const blobHeadBytes = 32;
const ackBytes = 32;
const lastFlag = 0x01;
const zeroBytesMax = 0xffff_ffff_ffff;

export function encodeFrame(frame: Frame): Buffer {
  switch (frame.kind) {
    case 'log':
      return encodeLog(frame);
    case 'ack':
      return encodeAck(frame);
    case 'blob':
      return encodeBlob(frame);
    case 'control':
      return encodeControl(frame);
  }
}

/** Throws `UnderstudyError` ('link') when the bytes are not exactly one valid frame. */
export function decodeFrame(bytes: Buffer): Frame {
  if (bytes.length < headBytes) {
    throw refusal(`it has ${bytes.length} bytes, at least ${headBytes} are needed`);
  }
  if (bytes.readUIntBE(0, 3) !== magicAndVersion) throw wrongMagic(bytes);
  const type = bytes[3] ?? 0;
  checkLength(bytes, type);
  const expectedCrc = bytes.readUInt32BE(crcOffset);
  const actualCrc = checksum(bytes, type);
  if (actualCrc !== expectedCrc) {
    throw refusal(`its checksum is ${hex(actualCrc)}, the frame says ${hex(expectedCrc)}`);
  }
  const term = readU64(bytes, 8, 'term') as Term;
  switch (type) {
    case types.log:
      return decodeLog(bytes, term);
    case types.ack:
      return decodeAck(bytes, term);
    case types.blob:
      return decodeBlob(bytes, term);
    default:
      return { kind: 'control', term, payload: bytes.subarray(headBytes) };
  }
}

function encodeLog(frame: LogFrame): Buffer {
  const { payload } = frame;
  checkPayload('log', payload.length, wireLimits.logPayloadBytes);
  checkRange('rawBytes', frame.rawBytes, wireLimits.logRawBytes);
  checkRange('codec', frame.codec, 0xff);
  checkRange('from', frame.from, frame.to);
  const bytes = begin(types.log, frame.term, logHeadBytes, payload);
  writeU64(bytes, frame.from, 16);
  writeU64(bytes, frame.to, 24);
  writeU64(bytes, frame.icount, 32);
  bytes.writeUInt32BE(frame.rawBytes, 40);
  // The codec and the three reserved bytes behind it in one store.
  bytes.writeUInt32BE(frame.codec * 0x1000000, 44);
  return seal(bytes);
}

function decodeLog(bytes: Buffer, term: Term): LogFrame {
  const from = readU64(bytes, 16, 'from') as LogPosition;
  const to = readU64(bytes, 24, 'to') as LogPosition;
  if (to < from) throw refusal(`its log ends at ${to}, before it begins at ${from}`);
  const rawBytes = bytes.readUInt32BE(40);
  if (rawBytes > wireLimits.logRawBytes) {
    throw refusal(`its log unpacks to ${rawBytes} bytes, at most ${wireLimits.logRawBytes} may be`);
  }
  const codecWord = bytes.readUInt32BE(44);
  checkReserved(codecWord & 0xffffff, 45);
  return {
    kind: 'log',
    term,
    from,
    to,
    icount: readU64(bytes, 32, 'icount') as Icount,
    rawBytes,
    codec: codecWord >>> 24,
    payload: bytes.subarray(logHeadBytes),
  };
}

function encodeBlob(frame: BlobFrame): Buffer {
  const { payload } = frame;
  checkPayload('blob', payload.length, wireLimits.blobPayloadBytes);
  checkRange('stream', frame.stream, 0xff);
  const zeroBytes = frame.zeroBytes ?? 0;
  checkRange('zeroBytes', zeroBytes, payload.length > 0 ? 0 : zeroBytesMax);
  const bytes = begin(types.blob, frame.term, blobHeadBytes, payload);
  bytes.writeUInt8(frame.stream, 16);
  bytes.writeUInt8(frame.last ? lastFlag : 0, 17);
  bytes.writeUIntBE(zeroBytes, 18, 6);
  writeU64(bytes, frame.offset, 24);
  return seal(bytes);
}

function decodeBlob(bytes: Buffer, term: Term): BlobFrame {
  const flags = bytes[17] ?? 0;
  if ((flags & ~lastFlag) !== 0) {
    throw refusal(`its flags are ${hex(flags)}, only ${hex(lastFlag)} is known`);
  }
  const zeroBytes = bytes.readUIntBE(18, 6);
  if (zeroBytes > 0 && bytes.length > blobHeadBytes) {
    throw refusal(`it has ${zeroBytes} bytes of zeros and a payload, only one may be`);
  }
  return {
    kind: 'blob',
    term,
    stream: bytes[16] ?? 0,
    offset: readU64(bytes, 24, 'offset'),
    ...(zeroBytes > 0 ? { zeroBytes } : {}),
    last: flags === lastFlag,
    payload: bytes.subarray(blobHeadBytes),
  };
}

function encodeAck(frame: AckFrame): Buffer {
  const bytes = begin(types.ack, frame.term, ackBytes, undefined);
  writeU64(bytes, frame.received, 16);
  writeU64(bytes, frame.appliedIcount, 24);
  return seal(bytes);
}

function decodeAck(bytes: Buffer, term: Term): AckFrame {
  return {
    kind: 'ack',
    term,
    received: readU64(bytes, 16, 'received') as LogPosition,
    appliedIcount: readU64(bytes, 24, 'appliedIcount') as Icount,
  };
}

function encodeControl(frame: PackedControlFrame): Buffer {
  checkPayload('control', frame.payload.length, wireLimits.controlPayloadBytes);
  return seal(begin(types.control, frame.term, headBytes, frame.payload));
}

/** A frame with magic, type, term and payload in place. */
function begin(
  type: number,
  term: Term,
  payloadOffset: number,
  payload: Uint8Array | undefined,
): Buffer {
  const bytes = Buffer.allocUnsafe(payloadOffset + (payload?.length ?? 0));
  bytes.writeUInt32BE(magicAndVersion * 0x100 + type, 0);
  writeU64(bytes, term, 8);
  if (payload !== undefined) bytes.set(payload, payloadOffset);
  return bytes;
}

function seal(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(checksum(bytes, bytes[3] ?? 0), crcOffset);
  return bytes;
}

function checksum(bytes: Buffer, type: number): number {
  return crc32(bytes.subarray(crcOffset + 4), headCrcs[type]);
}

function checkLength(bytes: Buffer, type: number): void {
  const { length } = bytes;
  switch (type) {
    case types.control:
      checkBetween('control', length, headBytes, headBytes + wireLimits.controlPayloadBytes);
      break;
    case types.log:
      checkBetween('log', length, logHeadBytes, logHeadBytes + wireLimits.logPayloadBytes);
      break;
    case types.blob:
      checkBetween('blob', length, blobHeadBytes, blobHeadBytes + wireLimits.blobPayloadBytes);
      break;
    case types.ack:
      checkBetween('ack', length, ackBytes, ackBytes);
      break;
    default:
      throw refusal(`its type is ${type}, known are 1 to 4`);
  }
}

function checkBetween(name: string, length: number, min: number, max: number): void {
  if (length >= min && length <= max) return;
  const bound = length < min ? `at least ${min}` : `at most ${max}`;
  throw refusal(`it has ${length} bytes, a frame of type '${name}' has ${bound}`);
}

function wrongMagic(bytes: Buffer): UnderstudyError {
  const found = bytes.readUInt16BE(0);
  if (found !== magic) {
    return refusal(`it begins with ${hex(found)}, expected is ${hex(magic)}`);
  }
  return refusal(
    `its version is ${bytes[2]}, this node speaks ${frameVersion}`,
    'Run the same version of understudy on both nodes.',
  );
}

function checkReserved(value: number, offset: number): void {
  if (value !== 0)
    throw refusal(`its reserved bytes at ${offset} are ${hex(value)}, expected is 0`);
}

function checkPayload(name: string, length: number, max: number): void {
  if (length <= max) return;
  throw new UnderstudyError(
    'link',
    `Cannot send a ${name} frame with ${length} bytes of payload: at most ${max} may be`,
  );
}

function checkRange(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new UnderstudyError(
    'link',
    `Cannot send a frame as '${name}' must be a whole number from 0 to ${max}: ` +
      `current value is ${value}`,
  );
}

function writeU64(bytes: Buffer, value: number, offset: number): void {
  checkRange('u64', value, Number.MAX_SAFE_INTEGER);
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), offset);
  bytes.writeUInt32BE(value % 0x1_0000_0000, offset + 4);
}

function readU64(bytes: Buffer, offset: number, name: string): number {
  const high = bytes.readUInt32BE(offset);
  if (high > 0x1f_ffff) {
    throw refusal(`its ${name} is ${bytes.readBigUInt64BE(offset)}, at most 2^53-1 may be`);
  }
  return high * 0x1_0000_0000 + bytes.readUInt32BE(offset + 4);
}

function refusal(what: string, hint?: string): UnderstudyError {
  const message = `Cannot read a frame: ${what}`;
  return new UnderstudyError('link', message, hint === undefined ? {} : { hint });
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
