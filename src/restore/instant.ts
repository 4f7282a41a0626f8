/**
 * An instant of a machine's past, and where it lies in a stretch of its log.
 *
 * Whole events only: an instant is the end of an event, or lies within a run of instructions, which
 * can be shortened to any count.
 */
import { type Icount, type LogPosition, icount as toIcount } from '../base/units.ts';
import { padNetId } from '../hypervisor/qemu/command-line.ts';
import { encodeEvent } from '../rrlog/events.ts';
import type { Layout } from '../rrlog/layouts.ts';
import { EventLogReader } from '../rrlog/reader.ts';

export type Instant =
  /** As soon as so many instructions were executed since power-on. */
  | { readonly kind: 'icount'; readonly icount: number }
  /** At the marker that ended this epoch, or the first one behind it. */
  | { readonly kind: 'epoch'; readonly epoch: number }
  /**
   * The last reading of the backup's clock on the wall that is not later; milliseconds since 1970.
   */
  | { readonly kind: 'time'; readonly ms: number }
  /** All that is kept. */
  | { readonly kind: 'end' };

/** For people: "icount 1200", "2026-01-02T03:04:05.678Z". */
export function describeInstant(instant: Instant): string {
  switch (instant.kind) {
    case 'icount':
      return `icount ${instant.icount}`;
    case 'epoch':
      return `epoch ${instant.epoch}`;
    case 'time':
      return new Date(instant.ms).toISOString();
    case 'end':
      return 'the end of the kept log';
  }
}

/** A stretch of log, stripped whole events. */
export interface Stretch {
  readonly events: Buffer;
  readonly position: LogPosition;
  /** At its beginning. */
  readonly icount: Icount;
}

/**
 * The stretch up to the instant, if it lies in it: the last run of instructions may be shortened.
 * `undefined`: it lies behind the stretch. Times are not in the events; see `untilTime`.
 */
export function upTo(layout: Layout, stretch: Stretch, instant: Instant): Buffer | undefined {
  if (instant.kind === 'time' || instant.kind === 'end') return undefined;
  const { events, position, icount } = stretch;
  const reader = new EventLogReader({
    layout,
    expectHeader: false,
    input: 'stripped',
    start: { position, icount },
    markerNetId: padNetId,
  });
  const wanted = new Uint8Array(256);
  wanted[layout.first.instruction] = 1;
  reader.push(events);
  if (instant.kind === 'icount' && icount >= instant.icount) {
    return events.subarray(0, endOfWrites(layout, reader));
  }
  while (reader.advance(wanted)) {
    const { marker } = reader;
    if (marker !== undefined) {
      if (instant.kind !== 'epoch' || marker.epoch < instant.epoch) continue;
      return Buffer.from(events.subarray(0, reader.nextOffset));
    }
    if (instant.kind !== 'icount' || reader.icount < instant.icount) continue;
    const before = toIcount(reader.icount - reader.instructionCount);
    const count = instant.icount - before;
    // What came of the last instruction of a run stands behind the run.
    if (count === reader.instructionCount) return events.subarray(0, endOfWrites(layout, reader));
    const last = encodeEvent(layout, { kind: 'instruction', count });
    return Buffer.concat([events.subarray(0, reader.eventOffset), last]);
  }
  return undefined;
}

/** Offset behind the events that belong to the instruction behind which a reader stands. */
function endOfWrites({ families }: Layout, reader: EventLogReader): number {
  let end = reader.nextOffset;
  while (reader.next() && writes.includes(families[reader.kind] ?? '')) end = reader.nextOffset;
  return end;
}

const writes: readonly string[] = ['char-write', 'random', 'char-read-all', 'char-read-all-error'];
