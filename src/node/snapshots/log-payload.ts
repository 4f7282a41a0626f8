/**
 * What a piece of kept log holds: events as a backup received them, and what else it must be told to
 * execute them again.
 *
 *      0        4         8         12
 *      +--------+---------+---------+----------+- - - - - - - -
 *      | "ULOG" | version | marks   | marks    | packed events      version: 1; big-endian
 *      +--------+---------+---------+----------+- - - - - - - -
 *  mark 0      1          5          13         21
 *      +------+----------+----------+----------+
 *      | kind | offset   | position | value    |      kind: 0 time, 1 resumed, 2 cut
 *      +------+----------+----------+----------+
 *        u8     u32        u64        u64
 *
 * Events are stripped (docs/event-log.md) and packed by a `SegmentPacker` of this piece alone. A mark
 * stands behind the events up to `offset`, a byte of the unpacked events, which is `position` of the log:
 *
 *  - time: the clock on the wall when this was received, `value` in milliseconds since 1970;
 *  - resumed: the primary was stopped here and went on without a cut (pause-filter.ts);
 *  - cut: the machine was cut here, at icount `value`. A replayer must be halted and loaded anew, as
 *    the backup was (docs/lockstep.md, R3 and R5).
 */
import { UnderstudyError } from '../../base/errors.ts';
import { type LogPosition, logPosition } from '../../base/units.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import { SegmentPacker, SegmentUnpacker } from '../../rrlog/packer.ts';

const magic = 0x554c4f47;
const version = 1;
const headBytes = 12;
const markBytes = 21;
const kinds = ['time', 'resumed', 'cut'] as const;

export interface LogMark {
  readonly kind: (typeof kinds)[number];
  /** Events of the piece before it, bytes. */
  readonly offset: number;
  readonly position: LogPosition;
  /** Milliseconds since 1970, or the icount of a cut; 0 otherwise. */
  readonly value: number;
}

export interface LogPayload {
  readonly events: Buffer;
  /** In the order of their places. */
  readonly marks: readonly LogMark[];
}

/** Throws `log-format` when the events are not whole events. */
export function encodeLogPayload(layout: Layout, { events, marks }: LogPayload): Buffer {
  const head = Buffer.alloc(headBytes + marks.length * markBytes);
  head.writeUInt32BE(magic, 0);
  head.writeUInt32BE(version, 4);
  head.writeUInt32BE(marks.length, 8);
  for (const [index, { kind, offset, position, value }] of marks.entries()) {
    const at = headBytes + index * markBytes;
    head.writeUInt8(kinds.indexOf(kind), at);
    head.writeUInt32BE(offset, at + 1);
    head.writeBigUInt64BE(BigInt(position), at + 5);
    head.writeBigUInt64BE(BigInt(value), at + 13);
  }
  const packed = events.length === 0 ? events : new SegmentPacker(layout).pack(events);
  return Buffer.concat([head, packed]);
}

/** Throws `log-format` when it is damaged or of another version. */
export function decodeLogPayload(layout: Layout, payload: Uint8Array): LogPayload {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const isHeadWhole = bytes.length >= headBytes && bytes.readUInt32BE(0) === magic;
  if (!isHeadWhole || bytes.readUInt32BE(4) !== version) {
    throw damaged(`it is no log of version ${version}`);
  }
  const count = bytes.readUInt32BE(8);
  const eventsAt = headBytes + count * markBytes;
  if (eventsAt > bytes.length) throw damaged(`it has no room for ${count} marks`);
  const rest = bytes.subarray(eventsAt);
  const events = rest.length === 0 ? rest : new SegmentUnpacker(layout).unpack(rest);
  const marks: LogMark[] = [];
  for (let at = headBytes; at < eventsAt; at += markBytes) {
    const kind = kinds[bytes.readUInt8(at)];
    const offset = bytes.readUInt32BE(at + 1);
    if (kind === undefined) throw damaged(`a mark has the unknown kind ${bytes.readUInt8(at)}`);
    if (offset > events.length || offset < (marks.at(-1)?.offset ?? 0)) {
      throw damaged(`a mark stands at byte ${offset} of ${events.length}, out of order`);
    }
    const position = logPosition(safe(bytes.readBigUInt64BE(at + 5)));
    marks.push({ kind, offset, position, value: safe(bytes.readBigUInt64BE(at + 13)) });
  }
  return { events, marks };
}

function safe(value: bigint): number {
  if (value > Number.MAX_SAFE_INTEGER) throw damaged(`a number in it is out of range: ${value}`);
  return Number(value);
}

function damaged(why: string): UnderstudyError {
  return new UnderstudyError('log-format', `Cannot read a piece of kept log: ${why}`, {
    hint: 'run `understudy snapshot verify` and restore to an instant before it',
  });
}
