/** Terms: what is heard is a hint, what the arbiter answers is the verdict. */
import { describe, expect, it } from 'vitest';
import { term } from '../../src/base/units.ts';
import { judgeLoss, judgeTerm, planClaim } from '../../src/core/terms.ts';

const state = (number: number, holder: string) => ({ term: term(number), holder });

describe('a message of another term', () => {
  it('older: refused, and its sender can be told the current one (1)', () => {
    expect(judgeTerm(term(4), term(3))).toEqual({ type: 'refuse', refused: 3, current: 4 });
    expect(judgeTerm(term(4), term(4))).toEqual({ type: 'accept' });
  });

  it('newer: not obeyed, and taken for a sign (2)', () => {
    expect(judgeTerm(term(4), term(9))).toEqual({ type: 'overruled', term: 9 });
  });
});

describe('a claim', () => {
  it('is a compare-and-set from exactly what was known (3)', () => {
    expect(planClaim(undefined, { expected: term(0), holder: 'a:1' })).toEqual({
      type: 'compareAndSet',
      expected: undefined,
      next: state(1, 'a:1'),
    });
    expect(planClaim(state(4, 'b:1'), { expected: term(4), holder: 'a:1' })).toEqual({
      type: 'compareAndSet',
      expected: state(4, 'b:1'),
      next: state(5, 'a:1'),
    });
  });

  it('is lost when the state has moved on, also to a later life of this node (3)', () => {
    const lost = (holder: string) => ({ type: 'lost', holder });
    expect(planClaim(state(5, 'b:1'), { expected: term(4), holder: 'a:1' })).toEqual(lost('b:1'));
    expect(planClaim(state(5, 'a:2'), { expected: term(4), holder: 'a:1' })).toEqual(lost('a:2'));
  });

  it('is neither won nor lost at an arbiter that was set back (6)', () => {
    const wish = { expected: term(4), holder: 'a:1' };
    for (const judge of [planClaim, judgeLoss]) {
      expect(judge(state(3, 'a:1'), wish)).toEqual({ type: 'setBack', to: 3 });
      expect(judge(undefined, wish)).toEqual({ type: 'setBack', to: 0 });
      // It has seen somebody's unproven term already.
      const later = { ...wish, seen: term(5) };
      expect(judge(state(4, 'a:1'), later)).toEqual({ type: 'setBack', to: 4 });
    }
  });

  it('was applied although its answer was lost: the next one finds that out (4)', () => {
    const ours = { type: 'won', term: 5 };
    expect(planClaim(state(5, 'a:1'), { expected: term(4), holder: 'a:1' })).toEqual(ours);
    // Applied late, between the second claim's read and its compare-and-set.
    expect(judgeLoss(state(5, 'a:1'), { expected: term(4), holder: 'a:1' })).toEqual(ours);
    expect(judgeLoss(state(5, 'b:1'), { expected: term(4), holder: 'a:1' })).toEqual({
      type: 'lost',
      holder: 'b:1',
    });
    expect(judgeLoss(state(4, 'b:1'), { expected: term(4), holder: 'a:1' })).toEqual({
      type: 'lost',
      holder: 'b:1',
    });
  });
});

describe('a term that is unproven (5)', () => {
  const b = { ...state(5, 'b:1'), unproven: true as const };
  const a = { expected: term(4), holder: 'a:1' };

  it('is what a takeover claims, and the next one is the one to speak in', () => {
    const first = planClaim(state(4, 'a:1'), {
      expected: term(4),
      holder: 'b:1',
      isUnproven: true,
    });
    expect(first).toEqual({ type: 'compareAndSet', expected: state(4, 'a:1'), next: b });
    const second = planClaim(b, { expected: term(5), holder: 'b:1' });
    expect(second).toEqual({ type: 'compareAndSet', expected: b, next: state(6, 'b:1') });
  });

  it('leaves whoever lost to it time: it may yet be claimed over', () => {
    expect(planClaim(b, a)).toEqual({ type: 'contested', holder: 'b:1' });
    expect(judgeLoss(b, a)).toEqual({ type: 'contested', holder: 'b:1' });
    const over = planClaim(b, { ...a, overtakes: true });
    expect(over).toEqual({ type: 'compareAndSet', expected: b, next: state(6, 'a:1') });
  });

  it('that was claimed over although the answer was lost: the next claim finds that out (4)', () => {
    const won = { type: 'won', term: 6 };
    expect(planClaim(state(6, 'a:1'), { ...a, overtakes: true })).toEqual(won);
    // Whoever held it has lost.
    const late = { expected: term(5), holder: 'b:1' };
    expect(planClaim(state(6, 'a:1'), late)).toEqual({ type: 'lost', holder: 'a:1' });
  });

  it('that was proved in the meantime is lost, however it is asked for', () => {
    const overtakes = { ...a, overtakes: true };
    expect(planClaim(state(6, 'b:1'), overtakes)).toEqual({ type: 'lost', holder: 'b:1' });
    expect(judgeLoss(state(6, 'b:1'), overtakes)).toEqual({ type: 'lost', holder: 'b:1' });
    // And a later unproven one is of somebody who spoke since.
    const later = { ...state(7, 'b:2'), unproven: true as const };
    expect(planClaim(later, overtakes)).toEqual({ type: 'lost', holder: 'b:2' });
  });

  it('is taken while the other one was just asking: it asks again (4)', () => {
    expect(judgeLoss(b, { ...a, overtakes: true })).toEqual({ type: 'contested', holder: 'b:1' });
  });

  it('of its own, applied late, is none to speak in: what boots claims the one after it (4)', () => {
    // Goal: a claim of a takeover that was given up must not be taken for the one of a later boot.
    const boots = { expected: term(4), holder: 'b:1' };
    const next = state(6, 'b:1');
    expect(planClaim(b, boots)).toEqual({ type: 'compareAndSet', expected: b, next });
    expect(judgeLoss(b, boots)).toEqual({ type: 'contested', holder: 'b:1' });
    expect(planClaim(next, boots)).toEqual({ type: 'won', term: 6 });
    expect(planClaim(b, { ...boots, isUnproven: true })).toEqual({ type: 'won', term: 5 });
  });
});
