// A piece of kept log holds what was received, with its marks; anything else is refused.
import { expect, test } from 'vitest';
import { logPosition } from '../../src/base/units.ts';
import { decodeLogPayload, encodeLogPayload, type LogMark } from '../../src/restore/log-payload.ts';
import { encodeEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';

const layout = layoutFor('7.2');
const events = Buffer.concat([
  encodeEvent(layout, { kind: 'instruction', count: 1000 }),
  encodeEvent(layout, { kind: 'block', id: 7 }),
]);
const marks: readonly LogMark[] = [
  { kind: 'time', offset: 5, position: logPosition(17), value: 1_700_000_000_123 },
  { kind: 'resumed', offset: 5, position: logPosition(17), value: 0 },
  {
    ...{ kind: 'cut', offset: 5, position: logPosition(17), value: 1000 },
    judgement: '0123456789abcdef0123456789abcdef0123456789abcdef0123',
  },
  { kind: 'cut', offset: events.length, position: logPosition(26), value: 1000 },
];

test('events and marks come back as they were', () => {
  const payload = encodeLogPayload(layout, { events, marks });
  expect(decodeLogPayload(layout, payload)).toEqual({ events, marks });
});

test('a piece of marks alone has no events', () => {
  const only = marks.slice(1, 2).map((mark) => ({ ...mark, offset: 0 }));
  const payload = encodeLogPayload(layout, { events: Buffer.alloc(0), marks: only });
  expect(decodeLogPayload(layout, payload)).toEqual({ events: Buffer.alloc(0), marks: only });
});

test('a piece of version 1, which has no judgements, is read', () => {
  const plain = marks.map(({ kind, offset, position, value }) => ({
    kind,
    offset,
    position,
    value,
  }));
  const payload = encodeLogPayload(layout, { events, marks: plain });
  expect(payload.readUInt32BE(4)).toBe(2);
  payload.writeUInt32BE(1, 4);
  expect(decodeLogPayload(layout, payload)).toEqual({ events, marks: plain });
});

test('each way to be no piece is refused with a reason', () => {
  const payload = encodeLogPayload(layout, { events, marks });
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(payload);
    change(bytes);
    return bytes;
  };
  const cases: [Buffer, RegExp][] = [
    [Buffer.alloc(0), /no log of version 1 or 2/],
    [changed((bytes) => bytes.fill(0, 0, 4)), /no log of version 1 or 2/],
    [changed((bytes) => bytes.writeUInt32BE(3, 4)), /no log of version 1 or 2/],
    [changed((bytes) => bytes.writeUInt32BE(0xffff_ffff, 8)), /no room for 4294967295 marks/],
    [changed((bytes) => bytes.writeUInt8(9, 12)), /unknown kind 9/],
    [changed((bytes) => bytes.writeUInt8(4, 12)), /unknown kind 4/],
    [payload.subarray(0, 12 + 2 * 21 + 21 + 25), /no room for 4 marks/],
    [changed((bytes) => bytes.writeUInt32BE(99, 13)), /stands at byte 99 of 14/],
    [changed((bytes) => bytes.writeUInt32BE(0, 12 + 21 + 1)), /out of order/],
    [changed((bytes) => bytes.fill(0xff, 17, 25)), /out of range/],
    [payload.subarray(0, -3), /unpack a segment/],
    [changed((bytes) => bytes.fill(0x55, bytes.length - 2)), /unpack a segment/],
  ];
  for (const [bytes, reason] of cases) {
    expect(() => decodeLogPayload(layout, bytes)).toThrow(reason);
  }
});
