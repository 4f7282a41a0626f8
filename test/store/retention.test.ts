// Goal: a policy keeps what it says, and never the last thing one has.
import { expect, it } from 'vitest';
import { logPosition, term } from '../../src/base/units.ts';
import { chooseRemovals, type Judged } from '../../src/store/retention.ts';

const hour = 3_600_000;
const noon = Date.UTC(2026, 10, 21, 12);
const at = (hours: number, changes: Partial<Judged> = {}): Judged => ({
  id: `t${hours}`,
  vm: 'web',
  run: 'r1',
  term: term(3),
  position: logPosition(1_000_000 + hours * 1000),
  takenAtMs: noon + hours * hour,
  ...changes,
});
/** What is taken from now on, when the clock was set back by an hour at noon. */
const setBack = (hours: number): Judged => at(hours, { takenAtMs: noon + (hours - 1) * hour });

it('keeps the last ones, and the newest of each hour and day', () => {
  const all = [at(-49), at(-48), at(-25), at(-2), at(-1.5), at(-1.4), at(0), at(0.1), at(0.2)];
  const kept = (keep: Parameters<typeof chooseRemovals>[1]) => {
    const removed = chooseRemovals(all, keep);
    return all.map(({ id }) => id).filter((id) => !removed.includes(id));
  };
  expect(kept({ last: 2 })).toEqual(['t0.1', 't0.2']);
  expect(kept({ hourly: 2 })).toEqual(['t-1.4', 't0.2']);
  expect(kept({ daily: 3 })).toEqual(['t-48', 't-25', 't0.2']);
  expect(kept({ last: 1, hourly: 3, daily: 2 })).toEqual(['t-25', 't-1.4', 't0.2']);
  expect(kept({})).toEqual(all.map(({ id }) => id));
  expect(kept({ last: 0 })).toEqual(['t0.2']);
  expect(chooseRemovals(all, { last: 1 })[0]).toBe('t-49'); // oldest first
});

it('keeps what a person labelled, and judges machines apart', () => {
  const all = [at(-9, { label: 'before the upgrade' }), at(-8), at(-7, { vm: 'db' }), at(0)];
  expect(chooseRemovals(all, { last: 1 })).toEqual(['t-8']);
  expect(chooseRemovals(all, { last: 1, budgetBytes: 0 })).toEqual(['t-8']);
});

it('takes the oldest until the rest fits the budget', () => {
  const all = [at(-3), at(-2), at(-1), at(0)];
  const usage = all.map(({ id }, i) => ({ id, bytes: [10, 20, 30, 1000][i]! }));
  expect(chooseRemovals(all, { budgetBytes: 1060 }, usage)).toEqual([]);
  // What counts as the oldest one's goes; what others need stays.
  expect(chooseRemovals(all, { budgetBytes: 1059 }, usage)).toEqual(['t-3']);
  expect(chooseRemovals(all, { budgetBytes: 1030 }, usage)).toEqual(['t-3', 't-2']);
  expect(chooseRemovals(all, { budgetBytes: 5 }, usage)).toEqual(['t-3', 't-2', 't-1']);
  expect(chooseRemovals(all, { last: 3, budgetBytes: 1040 }, usage)).toEqual(['t-3', 't-2']);
  expect(chooseRemovals([], { last: 3, budgetBytes: 1 }, [])).toEqual([]);
});

it('keeps what was taken last when the clock was set back, and takes what is older', () => {
  const all = [at(-1), at(-0.5), at(0), setBack(0.1), setBack(0.2)];
  expect(chooseRemovals(all, { last: 2 })).toEqual(['t-1', 't-0.5', 't0']);
  expect(chooseRemovals(all, { hourly: 1 })).toEqual(['t-1', 't-0.5', 't0', 't0.1']);
  const usage = all.map(({ id }) => ({ id, bytes: 10 }));
  expect(chooseRemovals(all, { budgetBytes: 20 }, usage)).toEqual(['t-1', 't-0.5', 't0']);
  // An hour that the clock showed twice is one; a clock that was ahead for a while takes no more.
  const ahead = at(0.5, { takenAtMs: noon + 1e6 * hour });
  const later = [at(1), at(2), at(3)];
  expect(chooseRemovals([...all, ahead, ...later], { hourly: 6 })).toEqual([
    ...['t-1', 't-0.5', 't0.1'],
  ]);
});

it('takes an older term for older, whatever the clocks of its host said', () => {
  const before = [at(5), at(6)];
  const after = [0, 1].map((n) =>
    at(n, { term: term(4), run: 'r2', position: logPosition(10 + n) }),
  );
  expect(chooseRemovals([...after, ...before], { last: 3 })).toEqual(['t5']);
});
