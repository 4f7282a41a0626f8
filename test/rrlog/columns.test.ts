// Columns must give back every byte of every segment, and refuse what was never one.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnBytesMax, EventColumns } from '../../src/rrlog/columns.ts';
import { encodeEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { chunkSizes, chunks, logs } from './generate.ts';

const layout = layoutFor('10.0');
const refused = expect.objectContaining({ code: 'log-format' }) as Error;

describe('columns', () => {
  it('give back every segment, also one that ends inside an event', () => {
    fc.assert(
      fc.property(logs(layout), chunkSizes, (log, sizes) => {
        const [there, back] = [new EventColumns(layout), new EventColumns(layout)];
        const whole = Buffer.from(log.raw);
        const columns = there.split(whole);
        expect(columns.length).toBeLessThanOrEqual(columnBytesMax(whole.length));
        expect(back.join(columns, whole.length).equals(whole)).toBe(true);
        for (const chunk of chunks(whole, sizes)) {
          const part = Buffer.from(chunk);
          expect(back.join(there.split(part), part.length).equals(part)).toBe(true);
          break; // the next one does not begin with an event
        }
      }),
      { numRuns: 200 },
    );
  });

  it('have clocks that stand, jump back, and are as far away as they can be', () => {
    const values = [0n, 0n, 5n, 4n, 2n ** 52n, 2n ** 64n - 1n, 0n, 2n ** 63n, 2n ** 32n - 1n, 1n];
    const segments = values.map((value) =>
      Buffer.concat([
        encodeEvent(layout, { kind: 'clock', clock: 'host', value }),
        encodeEvent(layout, { kind: 'clock', clock: 'virtual-rt', value: 7n * 2n ** 60n - value }),
      ]),
    );
    const [there, back] = [new EventColumns(layout), new EventColumns(layout)];
    for (const segment of segments) {
      expect(back.join(there.split(segment), segment.length)).toEqual(segment);
    }
  });

  it('that are damaged are refused, or give other bytes than were asked for, never more', () => {
    fc.assert(
      fc.property(logs(layout), fc.nat(), fc.nat({ max: 255 }), (log, place, value) => {
        const columns = new EventColumns(layout).split(log.raw);
        if (columns.length === 0) return;
        columns[place % columns.length] = value;
        try {
          const bytes = new EventColumns(layout).join(columns, log.raw.length);
          expect(bytes.length).toBe(log.raw.length);
        } catch (error) {
          expect(error).toEqual(refused);
        }
      }),
      { numRuns: 500 },
    );
  });
});
