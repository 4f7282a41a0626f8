/**
 * What a piece of kept log holds: events as a backup received them, and what else it must be told
 * to execute them again.
 *
 *      0        4         8         12
 *      +--------+---------+---------+----------+- - - - - - - -
 *      | "ULOG" | version | marks   | marks    | packed events      version: 2; big-endian
 *      +--------+---------+---------+----------+- - - - - - - -
 *  mark 0      1          5          13         21
 *      +------+----------+----------+----------+- - - - - -
 *      | kind | offset   | position | value    | judgement    kind: 0 time, 1 resumed, 2 cut,
 *      +------+----------+----------+----------+- - - - - -   3 judged cut
 *        u8     u32        u64        u64        26 bytes, of kind 3 only
 *
 * Events are stripped (docs/event-log.md) and packed by a `SegmentPacker` of this piece alone. A
 * mark stands behind the events up to `offset`, a byte of the unpacked events, which is `position`
 * of the log:
 *
 *  - time: the clock on the wall when this was received, `value` in milliseconds since 1970;
 *  - resumed: the primary was stopped here and went on without a cut (pause-filter.ts);
 *  - cut: the machine was cut here, at icount `value`. A replayer must be halted and go on, as
 *    the backup did (docs/lockstep.md, R3 and R5);
 *  - judged cut: the same, and the judgement of the clock that the backup was to take there
 *    (../../hypervisor/device-state/clock-judgement.ts).
 *
 * Version 1 had no judged cuts, and is read as well.
 */
import { UnderstudyError } from '../base/errors.ts';
import { type LogPosition, logPosition } from '../base/units.ts';
import { judgementBytes } from '../hypervisor/device-state/device-state.ts';
import type { Layout } from '../rrlog/layouts.ts';
import { SegmentPacker, SegmentUnpacker } from '../rrlog/packer.ts';

const magic = 0x554c4f47;
const version = 2;
const versionsRead = [1, 2];
const headBytes = 12;
const markBytes = 21;
const kinds = ['time', 'resumed', 'cut'] as const;
const judgedCut = kinds.length;

export interface LogMark {
  readonly kind: (typeof kinds)[number];
  /** Events of the piece before it, bytes. */
  readonly offset: number;
  readonly position: LogPosition;
  /** Milliseconds since 1970, or the icount of a cut; 0 otherwise. */
  readonly value: number;
  /** Of a cut at which the copy takes it. */
  readonly judgement?: string;
}

export interface LogPayload {
  readonly events: Buffer;
  /** In the order of their places. */
  readonly marks: readonly LogMark[];
}

/** Throws `log-format` when the events are not whole events. */
export function encodeLogPayload(layout: Layout, { events, marks }: LogPayload): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(magic, 0);
  head.writeUInt32BE(version, 4);
  head.writeUInt32BE(marks.length, 8);
  const packed = events.length === 0 ? events : new SegmentPacker(layout).pack(events);
  return Buffer.concat([head, ...marks.map(encodeMark), packed]);
}

function encodeMark({ kind, offset, position, value, judgement }: LogMark): Buffer {
  const bytes = Buffer.alloc(markBytes);
  bytes.writeUInt8(judgement === undefined ? kinds.indexOf(kind) : judgedCut, 0);
  bytes.writeUInt32BE(offset, 1);
  bytes.writeBigUInt64BE(BigInt(position), 5);
  bytes.writeBigUInt64BE(BigInt(value), 13);
  return judgement === undefined ? bytes : Buffer.concat([bytes, Buffer.from(judgement, 'hex')]);
}

/** Throws `log-format` when it is damaged or of another version. */
export function decodeLogPayload(layout: Layout, payload: Uint8Array): LogPayload {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const isHeadWhole = bytes.length >= headBytes && bytes.readUInt32BE(0) === magic;
  if (!isHeadWhole || !versionsRead.includes(bytes.readUInt32BE(4))) {
    throw damaged(`it is no log of version ${versionsRead.join(' or ')}`);
  }
  const count = bytes.readUInt32BE(8);
  const marks: LogMark[] = [];
  let at = headBytes;
  while (marks.length < count) {
    const end = at + markBytes + (bytes[at] === judgedCut ? judgementBytes : 0);
    const others = (count - marks.length - 1) * markBytes;
    if (end + others > bytes.length) throw damaged(`it has no room for ${count} marks`);
    marks.push(decodeMark(bytes.subarray(at, end)));
    at = end;
  }
  const rest = bytes.subarray(at);
  const events = rest.length === 0 ? rest : new SegmentUnpacker(layout).unpack(rest);
  let before = 0;
  for (const { offset } of marks) {
    if (offset > events.length || offset < before) {
      throw damaged(`a mark stands at byte ${offset} of ${events.length}, out of order`);
    }
    before = offset;
  }
  return { events, marks };
}

function decodeMark(bytes: Buffer): LogMark {
  const isJudged = bytes[0] === judgedCut;
  const kind = isJudged ? 'cut' : kinds[bytes.readUInt8(0)];
  if (kind === undefined) throw damaged(`a mark has the unknown kind ${bytes[0]}`);
  const mark = {
    ...{ kind, offset: bytes.readUInt32BE(1) },
    position: logPosition(safe(bytes.readBigUInt64BE(5))),
    value: safe(bytes.readBigUInt64BE(13)),
  };
  return isJudged ? { ...mark, judgement: bytes.toString('hex', markBytes) } : mark;
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
