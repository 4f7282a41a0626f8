// Frames of the past carry the time of the wall, also from a stretch in which no epoch is known exactly.
import { expect, test } from 'vitest';
import { epoch } from '../../../src/base/units.ts';
import { wallOffsetUs } from '../../../src/node/snapshots/frame-capture.ts';
import { encodeMarkerFrame } from '../../../src/rrlog/marker.ts';

const marker = (number: number, us: number) => ({ us, bytes: encodeMarkerFrame(epoch(number)) });
const known = [
  { epoch: epoch(100), timeMs: 50_000 },
  { epoch: epoch(150), timeMs: 51_000 },
];

test('an epoch that is known, one between two, and one outside', () => {
  expect(wallOffsetUs([marker(100, 7_000_000)], known)).toBe(43_000_000);
  expect(wallOffsetUs([marker(125, 7_500_000)], known)).toBe(43_000_000);
  expect(wallOffsetUs([marker(90, 1), marker(150, 8_000_000)], known)).toBe(43_000_000);
  expect(wallOffsetUs([marker(151, 1)], known)).toBeUndefined();
  expect(wallOffsetUs([], known)).toBeUndefined();
});
