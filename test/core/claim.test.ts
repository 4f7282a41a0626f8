// A claim must end in one of three outcomes, and a won term must never be taken for a lost one.
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { term } from '../../src/base/units.ts';
import { Claim, nodeOf } from '../../src/core/claim.ts';
import type { NodeEffect } from '../../src/core/effects.ts';
import type { Arbiter, ArbiterState, CompareAndSetResult } from '../../src/ports/arbiter.ts';
import { Terms } from '../doubles/terms.ts';

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

describe('a claim', () => {
  it('first node of a new pair gets term 1', async () => {
    const arbiter = new FakeArbiter();
    expect(await new Terms(arbiter, 'a', 'x').claim(term(0))).toEqual(won(1));
    expect(arbiter.state).toEqual({ term: 1, holder: 'a:x' });
    expect(nodeOf('a:x')).toBe('a');
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

describe('a claim, asked step by step', () => {
  const begun = () => {
    const asked: NodeEffect[] = [];
    let asks = 10;
    const claim = new Claim({
      wish: { expected: term(4), holder: 'b:y' },
      nextAsk: () => {
        asks += 1;
        return asks;
      },
      emit: (effect) => asked.push(effect),
    });
    return { claim, asked };
  };
  const held = { term: term(4), holder: 'a:x' };

  it('late answer to an older ask: it changes nothing (2)', () => {
    // Goal: a read that was given up and comes after all must not decide a newer claim.
    const { claim, asked } = begun();
    expect(asked).toEqual([{ type: 'readArbiter', ask: 11 }]);
    const moved = { term: term(9), holder: 'a:x' };
    expect(claim.step({ type: 'arbiterRead', ask: 7, state: moved })).toBeUndefined();
    expect(claim.step({ type: 'arbiterFailed', ask: 7, reason: 'x', mayPass: true })).toBe(
      undefined,
    );
    expect(claim.step({ type: 'arbiterRead', ask: 11, state: held })).toBeUndefined();
    expect(asked).toHaveLength(2);
    expect(asked[1]).toEqual({
      ...{ type: 'compareAndSet', ask: 12, expected: held },
      next: { term: 5, holder: 'b:y' },
    });
    // The read again, delivered twice: one compare-and-set is on its way, not two.
    expect(claim.step({ type: 'arbiterRead', ask: 11, state: moved })).toBeUndefined();
    expect(asked).toHaveLength(2);
    expect(claim.step({ type: 'arbiterSet', ask: 12, result: { won: true } })).toEqual(won(5));
  });

  it('somebody asks for something with the same number: that is no answer of the arbiter (2)', () => {
    const { claim, asked } = begun();
    expect(claim.step({ type: 'asked', ask: 11, for: { wish: 'drill' } })).toBeUndefined();
    expect(claim.step({ type: 'timer' })).toBeUndefined();
    expect(asked).toHaveLength(1);
  });

  it('read fails, or the compare-and-set: unreachable, with what may pass (1)', () => {
    const failed = (ask: number, mayPass: boolean) =>
      ({ type: 'arbiterFailed', ask, reason: 'away', mayPass }) as const;
    const unreachable = { type: 'arbiterUnreachable', reason: 'away' };
    expect(begun().claim.step(failed(11, false))).toEqual({ ...unreachable, mayPass: false });
    const { claim } = begun();
    claim.step({ type: 'arbiterRead', ask: 11, state: held });
    expect(claim.step(failed(12, true))).toEqual({ ...unreachable, mayPass: true });
  });
});
