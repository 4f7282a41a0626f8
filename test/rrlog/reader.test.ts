import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import type { Icount, LogPosition } from '../../src/base/units.ts';
import { encodeHeader } from '../../src/rrlog/encoder.ts';
import { netHeadBytes } from '../../src/rrlog/event-size.ts';
import { decodeEvent, encodeEvent, type LogEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { markerHeadBytes } from '../../src/rrlog/marker.ts';
import { EventLogReader, type ReaderOptions } from '../../src/rrlog/reader.ts';
import { chunkSizes, chunks, logs, markerEvent, padNetId } from './generate.ts';

const layout = layoutFor('7.2');
const options: ReaderOptions = { layout, expectHeader: false, markerNetId: padNetId };

interface Seen {
  event: LogEvent;
  position: number;
  end: number;
  icount: number;
  epoch: number | undefined;
}

/** Reads all chunks; each chunk's memory is spoilt once the reader is through with it. */
function readAll(reader: EventLogReader, pieces: Iterable<Buffer>): Seen[] {
  const seen: Seen[] = [];
  for (const piece of pieces) {
    const chunk = Buffer.from(piece);
    reader.push(chunk);
    while (reader.next()) {
      const { position, end, icount, marker } = reader;
      seen.push({ event: decodeEvent(reader), position, end, icount, epoch: marker?.epoch });
    }
    chunk.fill(0xee);
  }
  return seen;
}

/** The error a function throws, or a failed test. */
function errorOf(run: () => unknown): UnderstudyError {
  try {
    run();
  } catch (error) {
    if (error instanceof UnderstudyError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('EventLogReader', () => {
  it('gives the same events however the log is cut into chunks', () => {
    // Goal: a chunk boundary anywhere, also inside a length field, changes nothing.
    fc.assert(
      fc.property(logs(layout), chunkSizes, (log, sizes) => {
        const reader = new EventLogReader(options);
        expect(readAll(reader, chunks(log.raw, sizes))).toEqual(log.events);
        expect(reader.end).toBe(12 + log.raw.length);
        expect(reader.pendingBytes).toBe(0);
        expect(reader.events).toBe(log.events.length);
      }),
      { numRuns: 150 },
    );
  });

  it('gives a prefix of the events of a log torn anywhere', () => {
    // Goal: what a killed primary leaves never shows as an event, and the torn bytes are counted.
    fc.assert(
      fc.property(logs(layout, 12), fc.nat(), chunkSizes, (log, cut, sizes) => {
        const torn = log.raw.subarray(0, cut % (log.raw.length + 1));
        const reader = new EventLogReader(options);
        const whole = log.events.filter((e) => e.end <= 12 + torn.length);
        expect(readAll(reader, chunks(torn, sizes))).toEqual(whole);
        expect(reader.end).toBe(whole.at(-1)?.end ?? 12);
        expect(reader.pendingBytes).toBe(12 + torn.length - reader.end);
      }),
      { numRuns: 150 },
    );
  });

  it('advances over unwanted events without losing count of them', () => {
    // Goal: the fast way and the slow way agree on position, icount and number of events.
    fc.assert(
      fc.property(logs(layout), chunkSizes, (log, sizes) => {
        const wanted = new Uint8Array(256);
        wanted[layout.first.block] = 1;
        const reader = new EventLogReader(options);
        const seen: number[] = [];
        for (const piece of chunks(log.raw, sizes)) {
          reader.push(piece);
          while (reader.advance(wanted)) seen.push(reader.position);
        }
        const expected = log.events.filter(
          (e) => e.event.kind === 'block' || e.epoch !== undefined,
        );
        expect(seen).toEqual(expected.map((e) => e.position));
        expect(reader.end).toBe(12 + log.raw.length);
        expect(reader.icount).toBe(log.events.at(-1)?.icount ?? 0);
        expect(reader.events).toBe(log.events.length);
      }),
      { numRuns: 100 },
    );
  });

  it('sees a marker at every cut from the end of its head on, and not before', () => {
    // Goal: the epoch is known although QEMU still holds the marker's padding in its buffer.
    const before = encodeEvent(layout, { kind: 'instruction', count: 7 });
    const marker = markerEvent(layout, 99);
    const after = encodeEvent(layout, { kind: 'interrupt' });
    const log = Buffer.concat([before, marker, after]);
    const headEnd = before.length + netHeadBytes + markerHeadBytes;
    for (let cut = 1; cut <= log.length; cut++) {
      const reader = new EventLogReader({ ...options, earlyMarkers: true });
      reader.push(Buffer.from(log.subarray(0, cut)));
      const epochs: number[] = [];
      while (reader.next()) if (reader.marker) epochs.push(reader.marker.epoch);
      expect(epochs).toEqual(cut >= headEnd ? [99] : []);
      if (cut >= headEnd && cut < log.length) expect(reader.end).toBe(12 + 5 + marker.length);
      // The rest in pieces: the padding is dropped and the event after it is at its place.
      for (const piece of chunks(log.subarray(cut), cut % 100 === 0 ? [1] : [4000, 150, 1])) {
        reader.push(piece);
        while (reader.next()) if (reader.marker) epochs.push(reader.marker.epoch);
      }
      expect(epochs).toEqual([99]);
      expect(reader.events).toBe(3);
      expect(reader.position).toBe(12 + 5 + marker.length);
      expect(reader.end).toBe(12 + log.length);
      expect([reader.pendingBytes, reader.paddingBytes]).toEqual([0, 0]);
    }
  });

  it('does not take a forged marker from the guest network for one', () => {
    // Goal: a frame with a perfect marker head on another card is an ordinary frame, kept whole.
    const forged = markerEvent(layout, 5);
    forged[1] = padNetId + 1;
    const reader = new EventLogReader({ ...options, earlyMarkers: true });
    reader.push(forged.subarray(0, 100));
    expect(reader.next()).toBe(false);
    reader.push(forged.subarray(100));
    expect(reader.next()).toBe(true);
    expect(reader.marker).toBeUndefined();
    expect(reader.payload().length).toBe(4200);
  });

  it('refuses an unknown kind and says where it is', () => {
    // Goal: a damaged log stops at its first bad byte, with everything before it counted.
    const good = encodeEvent(layout, { kind: 'instruction', count: 3 });
    for (const bad of [layout.count, 0x7f, 0xff]) {
      const reader = new EventLogReader(options);
      reader.push(Buffer.concat([good, good, Buffer.of(bad)]));
      const wanted = new Uint8Array(256);
      for (let again = 0; again < 2; again++) {
        const error = errorOf(() => reader.advance(wanted));
        expect(error.code).toBe('log-format');
        expect(error.message).toContain(`kind ${bad} at position 22`);
        expect([reader.end, reader.icount, reader.events]).toEqual([22, 6, 2]);
      }
    }
  });

  it('refuses lengths and counts that QEMU cannot have written', () => {
    // Goal: damage does not make the reader wait for gigabytes, and a hole of zeros is no event.
    const { first } = layout;
    const bad: [string, Buffer][] = [
      ['length 4294967295', Buffer.from([first.net, 0, 0, 0, 0, 0, 255, 255, 255, 255])],
      ['length 131073', Buffer.from([first.net, 0, 0, 0, 0, 0, 0, 2, 0, 1])],
      ['length 16777217', Buffer.from([first.random, 0, 0, 0, 0, 1, 0, 0, 1])],
      ['length 4294967296', Buffer.from([first['audio-in'], 0, 0, 0, 1, ...Buffer.alloc(12)])],
      ['INSTRUCTION count of 0', Buffer.alloc(64)],
      ['INSTRUCTION count of 2147483648', Buffer.from([0, 0x80, 0, 0, 0])],
      ['INPUT type 4', Buffer.from([first.input, 0, 0, 0, 4])],
      ['INPUT key type 2', Buffer.from([first.input, 0, 0, 0, 0, 0, 0, 0, 2])],
    ];
    for (const [what, bytes] of bad) {
      const reader = new EventLogReader(options);
      reader.push(bytes);
      const { message } = errorOf(() => reader.next());
      expect(message).toContain(what);
      expect(message).toContain('at position 12');
    }
  });

  it('takes the header of a finished log and of a killed one, and no other', () => {
    // Goal: zeros where the version word belongs are normal; any other word is refused.
    const event = encodeEvent(layout, { kind: 'instruction', count: 4 });
    for (const header of [encodeHeader(layout), Buffer.alloc(12)]) {
      const reader = new EventLogReader({ ...options, expectHeader: true });
      const log = Buffer.concat([header, event]);
      expect(readAll(reader, chunks(log, [5, 3]))).toMatchObject([{ position: 12, end: 17 }]);
    }
    const other = encodeHeader(layout);
    other.writeUInt32BE(0xe0200d);
    const reader = new EventLogReader({ ...options, expectHeader: true });
    reader.push(other);
    expect(errorOf(() => reader.next())).toMatchObject({
      code: 'log-format',
      message: expect.stringMatching(/0x00e0200d at position 0/) as string,
    });
  });

  it('counts on from a cut', () => {
    // Goal: a reader that starts in the middle speaks of the same positions and icounts.
    const start = { position: 5000 as LogPosition, icount: 77_000 as Icount };
    const reader = new EventLogReader({ ...options, start });
    reader.push(encodeEvent(layout, { kind: 'instruction', count: 23 }));
    expect(reader.next()).toBe(true);
    expect([reader.position, reader.end, reader.icount]).toEqual([5000, 5005, 77_023]);
  });

  it('waits for a large event without copying it again and again', () => {
    // Goal: 8 MiB in 1 KiB chunks take milliseconds, not the minute of a quadratic join.
    const data = Buffer.alloc(8 * 1024 * 1024, 0x5a);
    const event = encodeEvent(layout, { kind: 'random', result: 0, data });
    const reader = new EventLogReader(options);
    const began = process.cpuUsage();
    const seen = readAll(reader, chunks(event, [1024]));
    const { user, system } = process.cpuUsage(began);
    expect(seen[0]?.end).toBe(12 + event.length);
    expect((user + system) / 1e6).toBeLessThan(3);
  });
});
