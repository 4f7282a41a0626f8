// Where an instant lies in a stretch of log, to the instruction.
import { describe, expect, it } from 'vitest';
import { epoch, icount, logPosition } from '../../src/base/units.ts';
import { describeInstant, upTo } from '../../src/restore/instant.ts';
import { encodeEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { LogTail } from '../../src/rrlog/log-tail.ts';
import { encodeMarkerFrame } from '../../src/rrlog/marker.ts';

const layout = layoutFor('7.2');
const instructions = (count: number): Buffer => encodeEvent(layout, { kind: 'instruction', count });
const block = encodeEvent(layout, { kind: 'block', id: 3 });

/** A marker as it is kept: cut to its head. */
function marker(number: number): Buffer {
  const data = encodeMarkerFrame(epoch(number));
  const tail = new LogTail({ layout, input: 'raw', expectHeader: false, markerNetId: 0 });
  return tail.push(encodeEvent(layout, { kind: 'net', id: 0, flags: 0, data }))?.bytes as Buffer;
}

const events = Buffer.concat([instructions(100), block, marker(5), instructions(50), marker(9)]);
const stretch = { events, position: logPosition(500), icount: icount(1000) };
const until = (instant: Parameters<typeof upTo>[2]): Buffer | undefined =>
  upTo(layout, stretch, instant);

describe('an icount', () => {
  it('within a run shortens it', () => {
    expect(until({ kind: 'icount', icount: 1040 })).toEqual(instructions(40));
  });

  it('at the end of a run is before what follows it', () => {
    expect(until({ kind: 'icount', icount: 1100 })).toEqual(instructions(100));
  });

  it('behind other events keeps them', () => {
    const wanted = Buffer.concat([instructions(100), block, marker(5), instructions(1)]);
    expect(until({ kind: 'icount', icount: 1101 })).toEqual(wanted);
  });

  it('that has passed takes nothing, and one that is to come is not here', () => {
    expect(until({ kind: 'icount', icount: 1000 })).toEqual(Buffer.alloc(0));
    expect(until({ kind: 'icount', icount: 1151 })).toBeUndefined();
  });
});

describe('an epoch', () => {
  it('ends with its marker, or with the next one when it is not there', () => {
    const fifth = Buffer.concat([instructions(100), block, marker(5)]);
    expect(until({ kind: 'epoch', epoch: 5 })).toEqual(fifth);
    expect(until({ kind: 'epoch', epoch: 6 })).toEqual(events);
    expect(until({ kind: 'epoch', epoch: 10 })).toBeUndefined();
  });
});

it('is described for people', () => {
  expect(describeInstant({ kind: 'time', ms: 0 })).toBe('1970-01-01T00:00:00.000Z');
  expect(describeInstant({ kind: 'epoch', epoch: 4 })).toBe('epoch 4');
});
