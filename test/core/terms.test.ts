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
    expect(planClaim(undefined, term(0), 'a:1')).toEqual({
      type: 'compareAndSet',
      expected: undefined,
      next: state(1, 'a:1'),
    });
    expect(planClaim(state(4, 'b:1'), term(4), 'a:1')).toEqual({
      type: 'compareAndSet',
      expected: state(4, 'b:1'),
      next: state(5, 'a:1'),
    });
  });

  it('is lost when the state has moved on, also to a later life of this node (3)', () => {
    const lost = (holder: string) => ({ type: 'lost', holder });
    expect(planClaim(state(5, 'b:1'), term(4), 'a:1')).toEqual(lost('b:1'));
    expect(planClaim(state(5, 'a:2'), term(4), 'a:1')).toEqual(lost('a:2'));
    expect(planClaim(undefined, term(4), 'a:1')).toEqual(lost('nobody'));
  });

  it('was applied although its answer was lost: the next one finds that out (4)', () => {
    const ours = { type: 'won', term: 5 };
    expect(planClaim(state(5, 'a:1'), term(4), 'a:1')).toEqual(ours);
    // Applied late, between the second claim's read and its compare-and-set.
    expect(judgeLoss(state(5, 'a:1'), term(4), 'a:1')).toEqual(ours);
    expect(judgeLoss(state(5, 'b:1'), term(4), 'a:1')).toEqual({ type: 'lost', holder: 'b:1' });
    expect(judgeLoss(state(4, 'b:1'), term(4), 'a:1')).toEqual({ type: 'lost', holder: 'b:1' });
  });
});
