import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { qemuReleases } from '../../src/base/qemu-releases.ts';
import { encodeBlockCompletion, encodeEnd, encodeFifoPreamble } from '../../src/rrlog/encoder.ts';
import { decodeEvent, encodeEvent, type LogEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { EventLogReader } from '../../src/rrlog/reader.ts';
import { eventsByFamily } from './generate.ts';

/** As QEMU writes them; of AUDIO_IN with and without the place in the ring. */
const versionWords = {
  '7.2': '00e0200c',
  '10.0': '00e0200c',
  '11.0': '00e0200d',
  '11.1': '00e0200e',
};
const keyQcode = '0500000000000000010000000901';
const keyCode = '05000000000000000901';
const place = '0000000000000003';
const sound = (at: string): string => `1a0000000000000001${at}00000000000000010000000000000002`;

for (const qemu of qemuReleases) {
  const layout = layoutFor(qemu);

  describe(`events of QEMU ${qemu}`, () => {
    it('numbers its kinds as QEMU does', () => {
      // Goal: the table equals the C enumerations, counted by hand from the sources.
      const { first } = layout;
      expect(first).toMatchObject({ instruction: 0, bh: 3, block: 8, net: 9, shutdown: 10 });
      expect(first).toMatchObject({ 'char-write': 22, random: 27, clock: 28, checkpoint: 30 });
      expect([first.end, layout.count]).toEqual([39, 40]);
      expect(layout.names[17]).toBe('shutdown:guest-reset');
      expect(layout.names[29]).toBe('clock:virtual-rt');
      expect(layout.names[34]).toBe('checkpoint:clock-virtual');
    });

    for (const [family, arbitrary] of Object.entries(eventsByFamily(layout))) {
      it(`${family}: what is encoded is decoded again`, () => {
        // Goal: encoder and decoder agree on every field, and on the size.
        fc.assert(
          fc.property(arbitrary, (event) => {
            const bytes = encodeEvent(layout, event);
            const reader = new EventLogReader({ layout, expectHeader: false });
            reader.push(bytes);
            expect(reader.next()).toBe(true);
            expect(decodeEvent(reader)).toEqual(event);
            expect(layout.families[reader.kind]).toBe(family);
            expect(reader.eventBytes).toBe(bytes.length);
            expect(reader.next()).toBe(false);
          }),
          { numRuns: 40 },
        );
      });
    }

    it('writes events byte for byte as QEMU does', () => {
      // Goal: the encoding is QEMU's, not merely one that our decoder likes.
      const golden: [LogEvent, string][] = [
        [{ kind: 'instruction', count: 0x18ea05 }, '000018ea05'],
        [{ kind: 'clock', clock: 'host', value: 0x18ea051cf8167ef8n }, '1c18ea051cf8167ef8'],
        [{ kind: 'checkpoint', checkpoint: 'init' }, '25'],
        [{ kind: 'block', id: 258 }, '080000000000000102'],
        [{ kind: 'net', id: 1, flags: 2, data: Buffer.from('ab') }, '090100000002000000026162'],
        [{ kind: 'char-write', result: -1, offset: 3 }, '16ffffffff00000003'],
        [{ kind: 'audio-out', played: 5n }, '190000000000000005'],
        [{ kind: 'shutdown', cause: 'host-qmp-quit' }, '0c'],
        layout.hasKeyCodes
          ? [{ kind: 'input', input: { type: 'key-code', code: 9, down: true } }, keyCode]
          : [{ kind: 'input', input: { type: 'key-qcode', qcode: 9, down: true } }, keyQcode],
        layout.audioInHead === 9
          ? [{ kind: 'audio-in', samples: [[1n, 2n]] }, sound('')]
          : [{ kind: 'audio-in', writePosition: 3n, samples: [[1n, 2n]] }, sound(place)],
      ];
      for (const [event, hex] of golden) {
        expect(encodeEvent(layout, event).toString('hex')).toBe(hex);
      }
      expect(encodeEnd(layout).toString('hex')).toBe('27');
      expect(encodeBlockCompletion(layout, 1).toString('hex')).toBe('080000000000000001');
      const word = versionWords[qemu];
      expect(encodeFifoPreamble(layout, false).toString('hex')).toBe(word);
      expect(encodeFifoPreamble(layout, true).toString('hex')).toBe(`${word}27`);
    });

    it('does not encode what a reader would refuse', () => {
      // Goal: a wrong value fails where it is made, not in a replayer.
      const touch = { type: 'multi-touch', phase: 0, slot: 0n, trackingId: 0n, axis: 0, value: 0n };
      const events: LogEvent[] = [
        { kind: 'instruction', count: 0 },
        { kind: 'net', id: 0, flags: 0, data: Buffer.alloc(131_073) },
      ];
      if (qemu === '7.2') events.push({ kind: 'input', input: touch } as LogEvent);
      const key = layout.hasKeyCodes
        ? ({ type: 'key-qcode', qcode: 9, down: true } as const)
        : ({ type: 'key-code', code: 9, down: true } as const);
      events.push({ kind: 'input', input: key });
      for (const event of events) {
        expect(() => encodeEvent(layout, event)).toThrow(
          expect.objectContaining({ code: 'log-format' }),
        );
      }
    });
  });
}

describe('layoutFor', () => {
  it('refuses a QEMU release that it does not know', () => {
    // Goal: nobody reads a log with a layout that was only guessed.
    for (const qemu of ['10.2', '7', '12.0', '', 'toString', '__proto__']) {
      expect(() => layoutFor(qemu)).toThrow(expect.objectContaining({ code: 'config' }));
    }
  });
});
