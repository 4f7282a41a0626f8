// Figures of a soak of snapshots: what a stretch did, what snapshots cost, and which increments
// count.
import { expect, test } from 'vitest';
import { hostSeconds } from '../../../bench/soak/snapshots/processors.ts';
import { lossOf, meanIncrement, rateIn } from '../../../bench/soak/snapshots/report.ts';
import type { SnapshotManifest } from '../../../src/ports/snapshot-store.ts';

/** A hundred a second, from the tenth second on ninety. */
const counts = Array.from({ length: 81 }, (_, index) => {
  const atMs = index * 250;
  return { atMs, count: atMs <= 10_000 ? atMs / 10 : 1000 + ((atMs - 10_000) * 9) / 100 };
});
const without = { isKept: false, fromMs: 100, toMs: 9900 };
const kept = { isKept: true, fromMs: 10_100, toMs: 19_900 };

test('the rate of a stretch is that between its first and last counts', () => {
  expect(rateIn(without, counts)).toBeCloseTo(100);
  expect(rateIn(kept, counts)).toBeCloseTo(90);
  expect(rateIn({ ...kept, fromMs: 30_000, toMs: 40_000 }, counts)).toBe(0);
});

test('what snapshots cost is told with how far the pairs of stretches differ', () => {
  const one = lossOf([without, kept], counts);
  expect(one.percent).toBeCloseTo(10);
  const two = lossOf([without, kept, without, { ...without, isKept: true }], counts);
  expect(two.percent).toBeCloseTo(5);
  expect(two.errorPercent).toBeCloseTo(5);
});

test('the first snapshot of a copy, and of a stretch, is no increment', () => {
  const taken = [
    ['a', undefined, 10_200, 9000],
    ['b', 'a', 11_200, 100],
    ['c', 'b', 12_200, 200],
    ['d', 'c', 15_200, 4000],
    ['e', undefined, 16_200, 9000],
    ['f', 'e', 17_200, 300],
    ['g', 'f', 20_000, 500],
  ].map(
    ([id, parent, takenAtMs, addedBytes]) =>
      ({ id, parent, takenAtMs, addedBytes }) as SnapshotManifest,
  );
  expect(meanIncrement(taken, [kept], 1000)).toBe(200);
});

test('the time of all processors is that of each together', () => {
  const stat =
    'cpu  1 1 1 1 1 1 1 1 1 1\ncpu0 60 20 30 4000 0 6 7 30 9 0\ncpu1 40 0 0 0 500 0 0 50 0 0\n';
  expect(hostSeconds(stat)).toEqual({ busy: 1.63, idle: 45, stolen: 0.8 });
});
