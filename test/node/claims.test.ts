// A claim must end in one of three outcomes, and a won term must never be taken for a lost one.
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import { holderNode, Terms } from '../../src/node/claims.ts';
import type { Arbiter, ArbiterState, CompareAndSetResult } from '../../src/ports/arbiter.ts';

class FakeArbiter implements Arbiter {
  state: ArbiterState | undefined;
  /** What goes wrong with the next compare-and-set. */
  fault: 'none' | 'answerLost' | 'unreachable' = 'none';
  /** Runs between our read and our compare-and-set. */
  meanwhile: () => void = () => undefined;

  async read(): Promise<ArbiterState | undefined> {
    const seen = this.state;
    this.meanwhile();
    return seen;
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    const { fault } = this;
    this.fault = 'none';
    if (fault === 'unreachable') throw new UnderstudyError('arbiter', 'no route');
    if (JSON.stringify(expected) !== JSON.stringify(this.state)) {
      return { won: false, current: this.state };
    }
    this.state = next;
    if (fault === 'answerLost') throw new UnderstudyError('arbiter', 'timed out');
    return { won: true };
  }
}

const won = (number: number) => ({ type: 'termWon', term: number });

describe('terms', () => {
  it('first node of a new pair gets term 1', async () => {
    const arbiter = new FakeArbiter();
    expect(await new Terms(arbiter, 'a', 'x').claim(term(0))).toEqual(won(1));
    expect(arbiter.state).toEqual({ term: 1, holder: 'a:x' });
    expect(holderNode(arbiter.state as ArbiterState)).toBe('a');
  });

  it('backup claims the term after its primary’s', async () => {
    const arbiter = new FakeArbiter();
    arbiter.state = { term: term(4), holder: 'a:x' };
    expect(await new Terms(arbiter, 'b', 'y').claim(term(4))).toEqual(won(5));
  });

  it('both claim at once: exactly one wins', async () => {
    const arbiter = new FakeArbiter();
    arbiter.state = { term: term(4), holder: 'a:x' };
    const claims = ['a', 'b'].map((node) => new Terms(arbiter, node, 'x').claim(term(4)));
    const types = (await Promise.all(claims)).map(({ type }) => type);
    expect(types.sort()).toEqual(['termLost', 'termWon']);
  });

  it('other node is faster between look and claim: lost, and it says to whom', async () => {
    const arbiter = new FakeArbiter();
    arbiter.state = { term: term(4), holder: 'a:x' };
    arbiter.meanwhile = () => {
      arbiter.state = { term: term(5), holder: 'a:x' };
    };
    const outcome = await new Terms(arbiter, 'b', 'y').claim(term(4));
    expect(outcome).toEqual({ type: 'termLost', holder: 'a:x' });
  });

  it('arbiter applied the claim and its answer was lost: asking again finds it won', async () => {
    // Goal: neither two speakers nor none, when only the answer is missing.
    const arbiter = new FakeArbiter();
    arbiter.state = { term: term(4), holder: 'a:x' };
    arbiter.fault = 'answerLost';
    const terms = new Terms(arbiter, 'b', 'y');
    expect(await terms.claim(term(4))).toMatchObject({
      type: 'arbiterUnreachable',
      reason: 'timed out',
    });
    expect(await terms.claim(term(4))).toEqual(won(5));
    expect(arbiter.state).toEqual({ term: 5, holder: 'b:y' });
    // An earlier life of the same node is somebody else.
    expect(await new Terms(arbiter, 'b', 'z').claim(term(4))).toMatchObject({ type: 'termLost' });
  });

  it('network delivered the claim twice: won, although the second one was refused', async () => {
    const arbiter = new FakeArbiter();
    arbiter.state = { term: term(4), holder: 'a:x' };
    arbiter.meanwhile = () => {
      arbiter.state = { term: term(5), holder: 'b:y' };
    };
    expect(await new Terms(arbiter, 'b', 'y').claim(term(4))).toEqual(won(5));
  });

  it('arbiter is away: that is an outcome, not an exception', async () => {
    const arbiter = new FakeArbiter();
    arbiter.fault = 'unreachable';
    const outcome = await new Terms(arbiter, 'a', 'x').claim(term(0));
    expect(outcome).toEqual({ type: 'arbiterUnreachable', reason: 'no route', mayPass: false });
    expect(arbiter.state).toBeUndefined();
  });
});
