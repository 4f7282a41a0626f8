// An instant that a soak goes back to is told with the icount where the log says that it is, and
// with when the backup had heard so much.
import { expect, test } from 'vitest';
import { aimAt, aimBetween } from '../../../bench/soak/snapshots/aims.ts';
import type { SnapshotManifest } from '../../../src/ports/snapshot-store.ts';

const at = (takenAtMs: number, icount: number) =>
  ({ id: `at-${takenAtMs}`, takenAtMs, icount }) as SnapshotManifest;
const timeline = [
  { timeMs: 1000, icount: 500 },
  { timeMs: 1050, icount: 550 },
  { timeMs: 1100, icount: 600 },
  { timeMs: 1150, icount: 700 },
];

test('a time is where the last reading before it stands', () => {
  for (let tries = 0; tries < 50; tries += 1) {
    const { until, icount, horizon } = aimBetween('time', [at(1000, 500), at(1150, 700)], timeline);
    const ms = until?.kind === 'time' ? until.ms : Number.NaN;
    const expected = timeline.findLast(({ timeMs }) => timeMs <= ms);
    expect(icount).toBe(expected?.icount);
    expect(horizon).toEqual({ heardMs: expected?.timeMs, begunMs: expected?.timeMs });
  }
});

test('a time before anything came behind the cut is the cut', () => {
  const early = [{ timeMs: 900, icount: 400 }];
  const snapshot = at(1000, 500);
  const aim = aimBetween('time', [snapshot, at(1020, 520)], early);
  expect(aim).toMatchObject({ icount: 500, horizon: aimAt(snapshot).horizon });
  expect(aim.until?.kind).toBe('time');
});

test('an icount lies between two readings', () => {
  for (let tries = 0; tries < 50; tries += 1) {
    const aim = aimBetween('icount', [at(1000, 500), at(1150, 700)], timeline);
    const { icount, horizon } = aim;
    expect(aim.until).toEqual({ kind: 'icount', icount });
    expect(icount).toBeGreaterThan(500);
    expect(icount).toBeLessThanOrEqual(700);
    expect(horizon.begunMs - horizon.heardMs).toBe(50);
    const heard = timeline.find(({ timeMs }) => timeMs === horizon.heardMs);
    expect(heard?.icount).toBeLessThan(icount);
  }
});
