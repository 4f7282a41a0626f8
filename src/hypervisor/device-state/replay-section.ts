/**
 * The "replay" section of a device state: where in the event log the machine stood.
 *
 * vmstate_replay in replay/replay-snapshot.c. Big-endian, without padding:
 *
 *     field                 version 2 (QEMU 7.2)   version 3 (QEMU 10.0)
 *     cached_clock          2 x i64                2 x i64
 *     current_icount        u64                    u64
 *     instruction_count     i32                    i32
 *     current_event         -                      u32
 *     data_kind             u32                    u32
 *     has_unread_data       u32                    u8 (bool)
 *     file_offset           u64                    u64
 *     block_request_id      u64                    u64
 *     read_event_id         u64 (all ones: none)   u64
 *     bytes                 60                     61
 *
 * Releases in between have version 3 without current_event, 57 bytes; the size tells them apart.
 */
import {
  type DeviceSection,
  type DeviceState,
  damaged,
  findSection,
  parseDeviceState,
} from './parse.ts';

export interface ReplaySection {
  /** Instructions executed since power-on. */
  readonly icount: number;
  /** Replay: instructions left of the INSTRUCTION event under way; -1 or 0 otherwise. */
  readonly instructionCount: number;
  /** Replay: kind of the event that was read and not yet consumed, if `hasUnread`. */
  readonly dataKind: number;
  readonly hasUnread: boolean;
  /**
   * Record: the log position of the cut, bytes from the start of the file; -1 when replaying a
   * FIFO.
   */
  readonly fileOffset: number;
  /** The id that the next disk request will get. */
  readonly blockRequestId: number;
  /** Replay: the id in an asynchronous event that was read and not yet consumed; -1 when none. */
  readonly readEventId: number;
  /** Last values of the host clock and of the virtual real-time clock, nanoseconds. */
  readonly clocks: readonly [host: bigint, virtualRt: bigint];
  /** QEMU 10.0: number of the event, for QEMU's own messages. */
  readonly currentEvent?: number;
}

const newestVersion = 3;
/** What all have alike: two clocks and two counts before, three numbers behind. */
const headBytes = 28;
const tailBytes = 24;
const sizesByVersion: Readonly<Record<number, readonly number[]>> = { 2: [60], 3: [57, 61] };

/**
 * Reads the "replay" section of versions 2 and 3.
 *
 * @throws UnderstudyError `state-format` when it is missing (QEMU did not record or replay), of
 * another version or size, or holds a number past 2^53.
 */
export function replaySection(state: DeviceState): ReplaySection {
  const section = findSection(state, 'replay');
  if (section === undefined) {
    throw damaged('there is no section "replay": QEMU neither recorded nor replayed', 0);
  }
  const { version, from, to } = section;
  const sizes = sizesByVersion[version];
  if (sizes === undefined) {
    throw damaged(`section "replay" has version ${version}, known are 2 and 3`, from);
  }
  const size = to - from;
  if (!sizes.includes(size)) {
    throw damaged(`section "replay" has ${size} bytes, expected ${sizes.join(' or ')}`, from);
  }
  let at = from;
  const take = (bytes: number): number => {
    at += bytes;
    return at - bytes;
  };
  const i64 = (): bigint => state.bytes.readBigInt64BE(take(8));
  const i32 = (): number => state.bytes.readInt32BE(take(4));
  const u32 = (): number => state.bytes.readUInt32BE(take(4));
  const u8 = (): number => state.bytes.readUInt8(take(1));
  const integer = (lowest: bigint): number => {
    const value = i64();
    if (value < lowest || value > Number.MAX_SAFE_INTEGER) {
      throw damaged(`a number in section "replay" is out of range: ${value}`, at - 8);
    }
    return Number(value);
  };
  const natural = (): number => integer(0n);
  const clocks = [i64(), i64()] as const;
  const counted = natural();
  const instructionCount = i32();
  const currentEvent = size === 61 ? u32() : undefined;
  return {
    clocks,
    icount: counted,
    instructionCount,
    ...(currentEvent === undefined ? {} : { currentEvent }),
    dataKind: u32(),
    hasUnread: (version === 3 ? u8() : u32()) !== 0,
    fileOffset: integer(-1n),
    blockRequestId: natural(),
    readEventId: integer(-1n),
  };
}

/**
 * A copy of a device state of any known release whose section is as QEMU 10.0 writes it: for one
 * that goes on from the state of an older one.
 *
 * @throws UnderstudyError `state-format` as `replaySection`.
 */
export function newestReplaySection(bytes: Buffer): Buffer {
  const state = parseDeviceState(bytes);
  const { currentEvent = 0, dataKind, hasUnread } = replaySection(state);
  const { from, to } = findSection(state, 'replay') as DeviceSection;
  const middle = Buffer.alloc(9);
  middle.writeUInt32BE(currentEvent, 0);
  middle.writeUInt32BE(dataKind, 4);
  middle.writeUInt8(hasUnread ? 1 : 0, 8);
  const section = Buffer.concat([
    bytes.subarray(from, from + headBytes),
    middle,
    bytes.subarray(to - tailBytes, to),
  ]);
  const copy = Buffer.concat([bytes.subarray(0, from), section, bytes.subarray(to)]);
  copy.writeUInt32BE(newestVersion, from - 4);
  return copy;
}
