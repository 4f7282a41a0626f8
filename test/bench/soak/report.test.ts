// Figures of a soak of snapshots: what a stretch did, what snapshots cost, and which increments count.
import { expect, test } from 'vitest';
import type { Stretch } from '../../../bench/soak/snapshots/pair-under-load.ts';
import { lossOf, meanIncrement, rateIn } from '../../../bench/soak/snapshots/report.ts';
import type { LoadStats } from '../../../src/demo/load-record.ts';
import type { SnapshotManifest } from '../../../src/ports/snapshot-store.ts';

/** A hundred requests a second, from the tenth second on ninety. */
const stats = Array.from({ length: 81 }, (_, index): LoadStats => {
  const atMs = index * 250;
  const requestsOk = atMs <= 10_000 ? atMs / 10 : 1000 + ((atMs - 10_000) * 9) / 100;
  return {
    ...{ type: 'stats', atMs, requestsOk, requestsFailed: 0, slowestRequestMs: 0 },
    ...{ countersAcknowledged: 0, echoLines: 0, longestGapMs: 0 },
  };
});
const without: Stretch = { isKept: false, fromMs: 100, toMs: 9900 };
const kept: Stretch = { isKept: true, fromMs: 10_100, toMs: 19_900 };

test('the rate of a stretch is that between its first and last statistics', () => {
  expect(rateIn(without, stats)).toBeCloseTo(100);
  expect(rateIn(kept, stats)).toBeCloseTo(90);
  expect(rateIn({ ...kept, fromMs: 30_000, toMs: 40_000 }, stats)).toBe(0);
});

test('what snapshots cost is told with how far the pairs of stretches differ', () => {
  const one = lossOf([without, kept], stats);
  expect(one.guestLossPercent).toBeCloseTo(10);
  const two = lossOf([without, kept, without, { ...without, isKept: true }], stats);
  expect(two.guestLossPercent).toBeCloseTo(5);
  expect(two.guestLossErrorPercent).toBeCloseTo(5);
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
