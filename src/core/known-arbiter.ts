/**
 * The arbiter that a node knows: whether what it is shown is that one, and what it may claim there.
 *
 * Intuition: an arbiter that forgot everything gives term 1 to whoever asks, beside a machine that
 * runs. A directory that is not mounted, the same relative path on another host, a server that lost
 * its disk: each looks like a pair that is new. So an arbiter has an identity, which nobody makes
 * by accident, and a node remembers it.
 *
 * Contract
 *  1. A state is told only when the arbiter has the identity that this node knows. The first one
 *     seen is remembered, on the disk, before anything is told.
 *  2. A node that never took part in the pair may claim its first term only. With a later one given
 *     already it is of another pair with the same name, or one that lost its state directory. It
 *     takes part from when it wins a term, has spoken in one (`hasSpoken`), or has a link with a
 *     peer that took part and knows the same arbiter. The operator's `--start-anew` counts as well.
 *     The life that claims the first term is remembered before: whether it was won may be seen by
 *     the next one only.
 *  3. A node whose peer knows another arbiter (`differs`) is told nothing and claims nothing, until
 *     the two agree.
 *  4. The newest term that the node has seen is remembered with it: an arbiter that says less was
 *     set back (membership.ts, 5). Only a term that this node wins may be lower: it claims from a
 *     lower one by the operator's word alone.
 */
import { type Term, term as toTerm } from '../base/units.ts';
import type { ArbiterSight, ArbiterState } from '../ports/arbiter.ts';
import type { Hello } from '../ports/link.ts';

/** What a node remembers of its arbiter. */
export interface KnownArbiter {
  readonly identity: string;
  /** This node took part in the pair whose arbiter it is. */
  readonly tookPart: boolean;
  /** The newest term that it has seen; 0: none. */
  readonly seen: Term;
  /** The life of this node that last claimed the pair's first term. */
  readonly claimed?: string;
}

/** Who is shown an arbiter. */
export interface Believer {
  readonly known: KnownArbiter | undefined;
  /** Of this life of the node. */
  readonly holder: string;
  /** It took part in earlier lives, or the operator says so. */
  readonly hasSpoken: boolean;
  /** Its peer knows another arbiter. */
  readonly differs: boolean;
}

export type Belief =
  /** It is the one; `known` is what the node knows now. */
  | { readonly type: 'believed'; readonly known: KnownArbiter }
  /** It was never set up, and the node knows none. */
  | { readonly type: 'neverSetUp' }
  /** The node knows one, and this one is nobody's. */
  | { readonly type: 'empty'; readonly known: KnownArbiter }
  | { readonly type: 'another'; readonly known: KnownArbiter; readonly identity: string }
  | { readonly type: 'differs'; readonly known: KnownArbiter }
  /** It gave terms to others than this node's pair, as far as this node can know. */
  | { readonly type: 'stranger'; readonly term: Term };

/** Judges what an arbiter holds. */
export function judgeSight({ identity, state }: ArbiterSight, by: Believer): Belief {
  const { known, holder, hasSpoken, differs } = by;
  if (identity === undefined) {
    return known === undefined ? { type: 'neverSetUp' } : { type: 'empty', known };
  }
  if (known !== undefined && known.identity !== identity) {
    return { type: 'another', known, identity };
  }
  const won = state !== undefined && [holder, known?.claimed].includes(state.holder);
  const tookPart = known?.tookPart === true || hasSpoken || won;
  const now = { ...known, identity, tookPart, seen: newer(known?.seen, state?.term) };
  return { type: differs ? 'differs' : 'believed', known: now };
}

/** Judges whether a term after `expected` may be claimed; `known` is to be remembered before. */
export function judgeExpected(expected: ArbiterState | undefined, by: Believer): Belief {
  const { known, holder, differs } = by;
  if (known === undefined) return { type: 'neverSetUp' };
  if (differs) return { type: 'differs', known };
  if (known.tookPart) return { type: 'believed', known };
  if (expected !== undefined) return { type: 'stranger', term: expected.term };
  return { type: 'believed', known: { ...known, claimed: holder } };
}

/** What a node knows that has won `term` there. */
export const afterWin = (known: KnownArbiter, term: Term): KnownArbiter => ({
  ...known,
  tookPart: true,
  seen: term,
});

/** What a node knows that has a link: both know the same arbiter, as far as they know one. */
export function afterMeeting(
  known: KnownArbiter | undefined,
  { arbiter, standing, term }: Pick<Hello, 'arbiter' | 'standing' | 'term'>,
): KnownArbiter | undefined {
  if (known === undefined || arbiter !== known.identity) return known;
  const peerTookPart = standing !== undefined && (standing.role !== 'none' || standing.spoken > 0);
  return {
    ...known,
    tookPart: known.tookPart || peerTookPart,
    seen: newer(known.seen, term),
  };
}

const newer = (a: Term | undefined, b: Term | undefined): Term => toTerm(Math.max(a ?? 0, b ?? 0));
