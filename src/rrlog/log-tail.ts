/**
 * The tail of a log as segments: runs of whole events, ready for the wire.
 *
 * On the primary it takes what was read from QEMU's file and gives stripped segments; on the
 * backup it takes those segments and checks that they follow one another. Both sides speak of raw
 * positions. Obligations:
 *
 * 1. A segment holds whole events only, at least one. Its bytes are its own: they stay valid.
 * 2. Segments are contiguous: `from` is the `to` of the one before, and `icount` goes on.
 * 3. When the last event is a marker whose padding has not been seen, `to` is its raw end.
 * 4. Nothing is copied event by event: one copy for the run before, and one for each marker.
 */
import { UnderstudyError } from '../base/errors.ts';
import type { Epoch, Icount, LogPosition } from '../base/units.ts';
import { netHeadBytes } from './event-size.ts';
import type { RequestTracker } from './inflight.ts';
import { type Layout, type ShutdownCause, shutdownCauses } from './layouts.ts';
import { markerHeadBytes, noEpoch } from './marker.ts';
import { EventLogReader } from './reader.ts';

/** A marker event at its place in the log. */
interface Marker {
  readonly epoch: Epoch;
  readonly position: LogPosition;
  /** Raw end: its padding included. */
  readonly end: LogPosition;
  readonly icount: Icount;
}

/** A SHUTDOWN event: the guest or the host asked for a shutdown or a reset. */
export interface ShutdownSeen {
  readonly cause: ShutdownCause | 'unused';
  readonly position: LogPosition;
}

/** A run of whole events. */
export interface Segment {
  readonly from: LogPosition;
  readonly to: LogPosition;
  /** Icount at `from`. */
  readonly icountFrom: Icount;
  /** Icount at `to`. */
  readonly icount: Icount;
  /** The events, markers stripped. This is what a replayer is fed. */
  readonly bytes: Buffer;
  readonly events: number;
  readonly markers: readonly Marker[];
  /** Markers of no epoch. */
  readonly pushes: number;
  /** Bytes that each serial port was given, by its number: the console is 0. */
  readonly typedBytes: readonly number[];
  readonly shutdowns: readonly ShutdownSeen[];
  /** The segment ends the recording: QEMU wrote END at a clean exit. */
  readonly ended: boolean;
}

/** What travels with a segment's bytes, for the other side to check. */
export type SegmentClaim = Pick<Segment, 'from' | 'to' | 'icount' | 'bytes'>;

export interface LogTailOptions {
  readonly layout: Layout;
  /** `raw`: bytes of QEMU's file. `stripped`: bytes of segments. */
  readonly input: 'raw' | 'stripped';
  /** The input begins with the header of a log file. */
  readonly expectHeader: boolean;
  /** See {@link EventLogReader}. @default position 12, icount 0 */
  readonly start?: { readonly position: LogPosition; readonly icount: Icount };
  /**
   * The network filter of the `pad` backend. `undefined`: any frame may be a marker (tools only).
   */
  readonly markerNetId: number | undefined;
  /** Told of every BLOCK, BH and BH_ONESHOT event. */
  readonly requests?: RequestTracker;
}

export class LogTail {
  readonly #reader: EventLogReader;
  readonly #notable: Uint8Array;
  readonly #requests: RequestTracker | undefined;
  readonly #first: Layout['first'];

  constructor(options: LogTailOptions) {
    const { layout, markerNetId } = options;
    this.#reader = new EventLogReader({
      layout,
      expectHeader: options.expectHeader,
      input: options.input,
      earlyMarkers: true,
      ...(options.start === undefined ? {} : { start: options.start }),
      ...(markerNetId === undefined ? {} : { markerNetId }),
    });
    this.#requests = options.requests;
    this.#first = layout.first;
    this.#notable = new Uint8Array(256);
    const kinds: readonly string[] =
      options.requests === undefined
        ? ['shutdown', 'end', 'char-read']
        : ['shutdown', 'end', 'char-read', 'block', 'bh', 'bh-oneshot'];
    layout.families.forEach((family, kind) => {
      if (kinds.includes(family)) this.#notable[kind] = 1;
    });
  }

  /** Raw end of the last whole event: where the next segment starts. */
  get position(): LogPosition {
    return this.#reader.end;
  }
  /** Icount at `position`. */
  get icount(): Icount {
    return this.#reader.icount;
  }
  /** Bytes held of an event that is not whole. */
  get pendingBytes(): number {
    return this.#reader.pendingBytes;
  }
  /** Whole events since the start. */
  get events(): number {
    return this.#reader.events;
  }
  /**
   * Raw position up to which the file has been taken, whole events or not: where to read on after
   * a restart of the tailing loop.
   */
  get taken(): LogPosition {
    const r = this.#reader;
    return (r.end + r.pendingBytes - r.paddingBytes) as LogPosition;
  }

  /**
   * Take bytes of the log, cut anywhere. Returns the whole events that they complete, if any.
   *
   * @throws UnderstudyError `log-format` at bytes that cannot be an event. The tail is of no use
   * after that.
   */
  push(chunk: Uint8Array): Segment | undefined {
    const reader = this.#reader;
    const icountFrom = reader.icount;
    const eventsBefore = reader.events;
    const markers: Marker[] = [];
    const shutdowns: ShutdownSeen[] = [];
    const runs: Buffer[] = [];
    let ended = false;
    let pushes = 0;
    let typedBytes = nothingTyped;
    reader.push(chunk);
    let from = reader.end;
    let runAt = reader.nextOffset;
    if (eventsBefore === 0) {
      // The header, if any, is not part of a segment.
      reader.skipHeader();
      from = reader.end;
      runAt = reader.nextOffset;
    }
    const buffer = reader.buffer;
    while (reader.advance(this.#notable)) {
      const { marker } = reader;
      if (marker !== undefined) {
        const { position, end, icount } = reader;
        if (marker.epoch === noEpoch) pushes += 1;
        else markers.push({ epoch: marker.epoch, position, end, icount });
        runs.push(buffer.subarray(runAt, reader.eventOffset), stripMarker(reader));
        runAt = reader.nextOffset;
      } else if (reader.kind === this.#first['char-read']) {
        typedBytes = typedMore(typedBytes, reader.charId, reader.payload().length);
      } else if (this.#note(shutdowns)) ended = true;
    }
    if (reader.events === eventsBefore) return undefined;
    runs.push(buffer.subarray(runAt, buffer.length - reader.pendingBytes));
    return {
      from,
      to: reader.end,
      icountFrom,
      icount: reader.icount,
      bytes: Buffer.concat(runs),
      events: reader.events - eventsBefore,
      markers,
      pushes,
      typedBytes,
      shutdowns,
      ended,
    };
  }

  /**
   * Take a segment of the other side and hold it against what it claims.
   *
   * @throws UnderstudyError `log-format` when it does not follow the one before, is not whole, or
   * does not end where it says. The tail is of no use after that.
   */
  pushSegment(claim: SegmentClaim): Segment {
    if (claim.from !== this.position) {
      throw discontinuity('starts at position', this.position, claim.from);
    }
    const segment = this.push(claim.bytes);
    if (segment === undefined || this.pendingBytes > 0) {
      throw new UnderstudyError(
        'log-format',
        `event log: the segment at position ${claim.from} does not end with a whole event: ` +
          `${this.pendingBytes} bytes are left over`,
      );
    }
    if (segment.to !== claim.to) throw discontinuity('ends at position', segment.to, claim.to);
    if (segment.icount !== claim.icount) {
      throw discontinuity('ends at icount', segment.icount, claim.icount);
    }
    return segment;
  }

  /** Book the current event, which is not a marker. True when it is END. */
  #note(shutdowns: ShutdownSeen[]): boolean {
    const reader = this.#reader;
    const first = this.#first;
    const { kind } = reader;
    if (kind === first.block) {
      this.#requests?.noteBlock(reader.requestId, reader.position);
    } else if (kind === first.bh || kind === first['bh-oneshot']) {
      this.#requests?.noteBottomHalf(reader.requestId, reader.position);
    } else if (kind === first.end) {
      return true;
    } else {
      const cause = shutdownCauses[kind - first.shutdown] ?? 'unused';
      shutdowns.push({ cause, position: reader.position });
    }
    return false;
  }
}

/** Most segments have none. */
const nothingTyped: readonly number[] = [];

function typedMore(sums: readonly number[], port: number, bytes: number): readonly number[] {
  const more = Array.from({ length: Math.max(sums.length, port + 1) }, (_, at) => sums[at] ?? 0);
  more[port] = (more[port] ?? 0) + bytes;
  return more;
}

/** The current event, a marker, with its payload cut to the head. */
function stripMarker(reader: EventLogReader): Buffer {
  const at = reader.eventOffset;
  const stripped = Buffer.from(reader.buffer.subarray(at, at + netHeadBytes + markerHeadBytes));
  stripped.writeUInt32BE(markerHeadBytes, netHeadBytes - 4);
  return stripped;
}

function discontinuity(what: string, expected: number, actual: number): UnderstudyError {
  return new UnderstudyError(
    'log-format',
    `event log: a segment ${what} ${actual}, expected ${expected}`,
  );
}
