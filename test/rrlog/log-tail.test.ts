import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHeader } from '../../src/rrlog/encoder.ts';
import { encodeEvent } from '../../src/rrlog/events.ts';
import { RequestTracker } from '../../src/rrlog/inflight.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { LogTail, type LogTailOptions, type Segment } from '../../src/rrlog/log-tail.ts';
import { noEpoch } from '../../src/rrlog/marker.ts';
import { EventLogReader } from '../../src/rrlog/reader.ts';
import { chunkSizes, chunks, type Expected, logs, markerEvent, padNetId } from './generate.ts';

const layout = layoutFor('7.2');
const primary: LogTailOptions = {
  layout,
  input: 'raw',
  expectHeader: false,
  markerNetId: padNetId,
};
const backup: LogTailOptions = { ...primary, input: 'stripped' };

function tailAll(tail: LogTail, pieces: Iterable<Buffer>): Segment[] {
  const segments: Segment[] = [];
  for (const piece of pieces) {
    const chunk = Buffer.from(piece);
    const segment = tail.push(chunk);
    if (segment !== undefined) segments.push(segment);
    chunk.fill(0xee);
  }
  return segments;
}

/** The markers of epochs, and those of none. */
function markersOf(events: readonly Expected[]) {
  const markers = events
    .filter((e) => e.epoch !== undefined)
    .map(({ epoch, position, end, icount }) => ({ epoch, position, end, icount }));
  return [
    markers.filter((m) => m.epoch !== noEpoch),
    markers.filter((m) => m.epoch === noEpoch),
  ] as const;
}

describe('LogTail', () => {
  it('counts what each serial port was given', () => {
    // Goal: what one port has taken does not let another be given more than it has room for.
    const read = (id: number, data: string) =>
      encodeEvent(layout, { kind: 'char-read', id, data: Buffer.from(data) });
    const tail = new LogTail(primary);
    expect(tail.push(Buffer.concat([read(1, 'S 1'), read(0, 'x'), read(1, '\n')]))).toMatchObject({
      typedBytes: [1, 4],
    });
    expect(
      tail.push(encodeEvent(layout, { kind: 'random', result: 0, data: Buffer.from('r') })),
    ).toMatchObject({
      typedBytes: [],
    });
  });

  it('gives contiguous segments of whole events, with markers at their raw positions', () => {
    // Goal: segments neither lose nor double anything, however QEMU's writes fall.
    fc.assert(
      fc.property(logs(layout), chunkSizes, (log, sizes) => {
        const tail = new LogTail(primary);
        const segments = tailAll(tail, chunks(log.raw, sizes));
        let position = 12;
        let icount = 0;
        for (const segment of segments) {
          expect([segment.from, segment.icountFrom]).toEqual([position, icount]);
          const last = log.events.find((e) => e.end === segment.to);
          expect(last?.icount).toBe(segment.icount);
          position = segment.to;
          icount = segment.icount;
        }
        expect(position).toBe(12 + log.raw.length);
        const [ofEpochs, ofNone] = markersOf(log.events);
        expect(segments.flatMap((s) => s.markers)).toEqual(ofEpochs);
        expect(segments.reduce((sum, s) => sum + s.pushes, 0)).toBe(ofNone.length);
        expect(segments.reduce((sum, s) => sum + s.events, 0)).toBe(log.events.length);
      }),
      { numRuns: 120 },
    );
  });

  it('carries raw positions through stripped bytes', () => {
    // Goal: primary and backup mean the same event by the same position.
    fc.assert(
      fc.property(logs(layout), chunkSizes, chunkSizes, (log, sizes, otherSizes) => {
        const bytes = Buffer.concat(
          tailAll(new LogTail(primary), chunks(log.raw, sizes)).map((s) => s.bytes),
        );
        const reader = new EventLogReader({
          layout,
          expectHeader: false,
          input: 'stripped',
          markerNetId: padNetId,
        });
        const seen: unknown[] = [];
        for (const piece of chunks(bytes, otherSizes)) {
          reader.push(piece);
          while (reader.next()) {
            const { position, end, icount, marker } = reader;
            seen.push({ position, end, icount, epoch: marker?.epoch });
          }
        }
        expect(seen).toEqual(
          log.events.map(({ position, end, icount, epoch }) => ({ position, end, icount, epoch })),
        );
        const saved = markersOf(log.events)
          .flat()
          .reduce((sum, m) => sum + m.end - m.position - 42, 0);
        expect(bytes.length).toBe(log.raw.length - saved);
      }),
      { numRuns: 120 },
    );
  });

  it('gives the backup the same segments, and its own tail the same end', () => {
    // Goal: a segment pushed on the other side reports the same markers, icount and bytes.
    fc.assert(
      fc.property(logs(layout), chunkSizes, (log, sizes) => {
        const other = new LogTail(backup);
        for (const sent of tailAll(new LogTail(primary), chunks(log.raw, sizes))) {
          expect(other.pushSegment(sent)).toEqual(sent);
        }
      }),
      { numRuns: 80 },
    );
  });

  it('refuses a segment that was lost, doubled, torn or altered', () => {
    // Goal: a gap on the link is found before a replayer executes anything after it.
    const event = encodeEvent(layout, { kind: 'instruction', count: 9 });
    const tail = new LogTail(primary);
    const [a, b] = [tail.push(event)!, tail.push(event)!];
    const refuse = (claims: readonly (typeof a)[], what: RegExp) => {
      const other = new LogTail(backup);
      expect(() => claims.forEach((c) => void other.pushSegment(c))).toThrow(what);
    };
    refuse([b], /starts at position 17, expected 12/);
    refuse([a, a], /starts at position 12, expected 17/);
    refuse([{ ...a, bytes: a.bytes.subarray(0, 4) }], /4 bytes are left over/);
    refuse([{ ...a, bytes: Buffer.alloc(0) }], /does not end with a whole event/);
    refuse([{ ...a, to: b.to }], /ends at position 22, expected 17/);
    refuse([{ ...a, icount: b.icount }], /ends at icount 18, expected 9/);
  });

  it('ends a segment with a marker whose padding QEMU still holds', () => {
    // Goal: the epoch can be sent although 4 KiB of its marker are not in the file yet.
    const before = encodeEvent(layout, { kind: 'instruction', count: 5 });
    const marker = markerEvent(layout, 3);
    const tail = new LogTail({ ...primary, expectHeader: true });
    const file = Buffer.concat([encodeHeader(layout), before, marker, before]);
    const early = tail.push(file.subarray(0, 12 + 5 + 42))!;
    expect(early).toMatchObject({ from: 12, to: 17 + marker.length, icount: 5, events: 2 });
    expect(early.bytes.length).toBe(5 + 42);
    expect(tail.taken).toBe(12 + 5 + 42);
    expect(tail.push(file.subarray(59, 1000))).toBeUndefined();
    expect(tail.taken).toBe(1000);
    expect(tail.push(file.subarray(1000))).toMatchObject({
      from: early.to,
      to: file.length,
      icount: 10,
      bytes: before,
    });
  });

  it('reports shutdowns and the end of the recording, and notes requests', () => {
    // Goal: the events that the node acts on are not lost in the fast path.
    const requests = new RequestTracker();
    const tail = new LogTail({ ...primary, requests });
    const segment = tail.push(
      Buffer.concat([
        encodeEvent(layout, { kind: 'block', id: 1 }),
        encodeEvent(layout, { kind: 'block', id: 0 }),
        encodeEvent(layout, { kind: 'shutdown', cause: 'guest-reset' }),
        encodeEvent(layout, { kind: 'end' }),
      ]),
    );
    expect(segment).toMatchObject({
      shutdowns: [{ cause: 'guest-reset', position: 30 }],
      ended: true,
    });
    expect(requests.completedBelow).toBe(2);
  });
});
