/**
 * Terms: what a message of another term means, and how a term is claimed.
 *
 * Intuition: a term is a number on a microphone. The arbiter hands the microphone on; whoever hears
 * a greater number than its own knows that somebody may have got it, and asks the arbiter. A number
 * that was heard is a hint and never a verdict: only the arbiter's answer ends a machine, so
 * neither a confused peer nor a stranger can.
 *
 * Contract
 *  1. A message of an older term is refused, and its sender is told the current one.
 *  2. A message of a newer term, or a `staleTerm` that names a newer one, is not obeyed; its
 *     receiver stops speaking and claims (PrimaryCore, BackupCore: `termHeard`).
 *  3. A claim is one compare-and-set from the state that was read, of exactly the term that the
 *     claimant last knew. A state that has moved on is a lost claim.
 *  4. A claim that was applied although its answer was lost is recognised when it is repeated: the
 *     holder names one life of a node (src/ports/arbiter.ts, 6). That holds also when the first one
 *     is applied between the second one's read and its compare-and-set: a compare-and-set that did
 *     not win is judged by the state that it met (`judgeLoss`).
 */
import { type Term, term as toTerm } from '../base/units.ts';
import type { ArbiterState } from '../ports/arbiter.ts';

export type TermVerdict =
  | { readonly type: 'accept' }
  /** Drop the message and answer `staleTerm` with these. */
  | { readonly type: 'refuse'; readonly refused: Term; readonly current: Term }
  /** Drop the message; somebody holds this newer term. */
  | { readonly type: 'overruled'; readonly term: Term };

/** Judges a message of term `heard` at a node that speaks, or listens, in term `own`. */
export function judgeTerm(own: Term, heard: Term): TermVerdict {
  if (heard === own) return { type: 'accept' };
  if (heard < own) return { type: 'refuse', refused: heard, current: own };
  return { type: 'overruled', term: heard };
}

export type ClaimStep =
  | { readonly type: 'won'; readonly term: Term }
  | { readonly type: 'lost'; readonly holder: string }
  | {
      readonly type: 'compareAndSet';
      readonly expected: ArbiterState | undefined;
      readonly next: ArbiterState;
    };

/** What a claim of the term after `expected` (0: none was ever given) does with the state read. */
export function planClaim(
  current: ArbiterState | undefined,
  expected: Term,
  holder: string,
): ClaimStep {
  if (current !== undefined && current.term === expected + 1 && current.holder === holder) {
    return { type: 'won', term: current.term };
  }
  if ((current?.term ?? 0) !== expected) {
    return { type: 'lost', holder: current?.holder ?? 'nobody' };
  }
  return {
    type: 'compareAndSet',
    expected: current,
    next: { term: toTerm(expected + 1), holder },
  };
}

/** What a compare-and-set that did not win has come to, by the state it met. */
export function judgeLoss(
  met: ArbiterState | undefined,
  expected: Term,
  holder: string,
): Exclude<ClaimStep, { type: 'compareAndSet' }> {
  const step = planClaim(met, expected, holder);
  // The state expected was met only after the attempt: somebody else's turn has come and gone.
  return step.type === 'compareAndSet' ? { type: 'lost', holder: met?.holder ?? 'nobody' } : step;
}
