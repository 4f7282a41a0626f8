// Where a machine may go back to: only to what is its own, was well, and was not tried already.
import { expect, it } from 'vitest';
import { icount, term } from '../../../src/base/units.ts';
import {
  candidates,
  type KeptCut,
  type WhatFailed,
} from '../../../src/node/watchdog/candidates.ts';

const nowMs = 1_000_000_000;

/** `t.i`: kept in term t, after i instructions. */
const cut = (id: string, ageMs = 0): KeptCut => {
  const [of = 0, executed = 0] = id.split('.').map(Number);
  return { id, term: term(of), icount: icount(executed), takenAtMs: nowMs - ageMs };
};
const at = (id: string) => ({ term: term(cut(id).term), icount: cut(id).icount });

function choose(
  kept: readonly string[],
  what: Partial<WhatFailed> = {},
): readonly string[] | string {
  const found = candidates(
    kept.map((id) => cut(id)),
    {
      ...{ line: { since: 1, backs: [] }, wellAt: undefined, tried: [], nowMs, losesMs: 3_600_000 },
      ...what,
    },
  );
  return typeof found === 'string' ? found : found.map(({ id }) => id);
}

it('the newest first', () => {
  expect(choose(['1.10', '1.20', '2.30'])).toEqual(['2.30', '1.20', '1.10']);
});

it('nothing that was kept when it had failed: a silent guest is kept like another one', () => {
  expect(choose(['1.10', '1.20', '1.30'], { wellAt: 20 })).toEqual(['1.20', '1.10']);
  const why = 'all of its snapshots were taken when it had failed already';
  expect(choose(['1.30'], { wellAt: 20 })).toBe(why);
});

it('nothing of a machine that is another one', () => {
  // Of before its boot, or of a time when this node was backup last, in a store of its own.
  expect(choose(['1.10', '3.5'], { line: { since: 3, backs: [] } })).toEqual(['3.5']);
  const why = 'no snapshot of it is in the store of this node';
  expect(choose(['1.10'], { line: { since: 2, backs: [] } })).toBe(why);
  expect(choose([])).toBe(why);
});

it('nothing of a past that was left: its snapshots stay in the store, and are of no use', () => {
  const line = { since: 1, backs: [{ term: 2, to: at('1.20') }] };
  const kept = ['1.10', '1.20', '1.30', '1.40', '2.25'];
  expect(choose(kept, { line })).toEqual(['2.25', '1.20', '1.10']);
  // And back once more, to what it went back to, and further on.
  const more = { since: 1, backs: [...line.backs, { term: 3, to: at('2.25') }] };
  expect(choose([...kept, '2.50', '3.26'], { line: more })).toEqual([
    ...['3.26', '2.25', '1.20', '1.10'],
  ]);
});

it('each further back than all before, while they count', () => {
  const line = { since: 1, backs: [{ term: 2, to: at('1.20') }] };
  const kept = ['1.10', '1.15', '1.20', '1.30', '2.21'];
  expect(choose(kept, { line, tried: [at('1.20')] })).toEqual(['1.15', '1.10']);
  const why = 'no snapshot is older than the one that it went back to before';
  expect(choose(kept, { line, tried: [at('1.20'), at('1.10')] })).toBe(why);
});

it('nothing that costs more than the policy bears, and it says how old the newest one is', () => {
  const kept = [cut('1.10', 7_200_000), cut('1.20', 5_400_000), cut('1.30', 60_000)];
  const what = { line: { since: 1, backs: [] }, wellAt: undefined, tried: [], nowMs };
  expect(candidates(kept, { ...what, losesMs: 6_000_000 })).toEqual([kept[2], kept[1]]);
  expect(candidates(kept.slice(0, 2), { ...what, losesMs: 90_000 })).toBe(
    'the newest snapshot to go back to is 90 min old, and the policy bears to lose 90 s ' +
      '(watchdog.loses)',
  );
});
