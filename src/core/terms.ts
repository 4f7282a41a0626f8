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
 *  5. Whoever has to prove a takeover claims an unproven term, in which nobody speaks, and when its
 *     machine runs the term after that, to speak in. Until then whoever lost the first claim with
 *     its machine standing may claim that same term over it (`overtakes`): one of both gets it,
 *     also when the other one dies in between. Of a proven term it is too late.
 *  6. A state that is older than what the claimant has seen is of an arbiter that was set back: it
 *     is no answer. Nothing is claimed from it, and no machine ends for it.
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

export interface ClaimWish {
  /** The last term that the claimant knows of; 0: none was ever given. */
  readonly expected: Term;
  /** The newest one that anybody told it of. @default the expected one */
  readonly seen?: Term;
  /** One life of a node. */
  readonly holder: string;
  /** A takeover has to be proved. @default false */
  readonly isUnproven?: boolean;
  /** An unproven term after `expected` is no reason to wait. @default false */
  readonly overtakes?: boolean;
}

export type ClaimStep =
  | { readonly type: 'won'; readonly term: Term }
  | { readonly type: 'lost'; readonly holder: string }
  /** The term is somebody's who has yet to prove a takeover. */
  | { readonly type: 'contested'; readonly holder: string }
  /** The arbiter knows only up to this term, which is older than what was expected. */
  | { readonly type: 'setBack'; readonly to: Term }
  | {
      readonly type: 'compareAndSet';
      readonly expected: ArbiterState | undefined;
      readonly next: ArbiterState;
    };

/** What a claim does with the state read. */
export function planClaim(current: ArbiterState | undefined, wish: ClaimWish): ClaimStep {
  const { expected, seen = expected, holder, isUnproven = false, overtakes = false } = wish;
  const given = current?.term ?? toTerm(0);
  if (given < Math.max(expected, seen)) return { type: 'setBack', to: given };
  const ahead = given - expected;
  if (ahead === 0) return claimAfter(current, holder, isUnproven);
  const isOurs = current?.holder === holder;
  const maySpeak = current?.unproven !== true;
  if (isOurs && (maySpeak || isUnproven) && (ahead === 1 || (ahead === 2 && !isUnproven))) {
    return { type: 'won', term: current.term };
  }
  const theirs = current?.holder ?? 'nobody';
  if (ahead !== 1 || maySpeak) return { type: 'lost', holder: theirs };
  // Its own unproven one, of a claim that was applied late, is none to speak in either.
  if (overtakes || isOurs) return claimAfter(current, holder, false);
  return { type: 'contested', holder: theirs };
}

function claimAfter(
  current: ArbiterState | undefined,
  holder: string,
  isUnproven: boolean,
): ClaimStep {
  const term = toTerm((current?.term ?? 0) + 1);
  const next = isUnproven ? { term, holder, unproven: true as const } : { term, holder };
  return { type: 'compareAndSet', expected: current, next };
}

/** What a compare-and-set that did not win has come to, by the state it met. */
export function judgeLoss(
  met: ArbiterState | undefined,
  wish: ClaimWish,
): Exclude<ClaimStep, { type: 'compareAndSet' }> {
  const step = planClaim(met, wish);
  if (step.type !== 'compareAndSet') return step;
  // What was met came only after the attempt: one that can be claimed over may be asked for again,
  // and of what was expected somebody else's turn has come and gone.
  const isContested = met !== undefined && met.term > wish.expected;
  return { type: isContested ? 'contested' : 'lost', holder: met?.holder ?? 'nobody' };
}

/** The last term that anybody may have spoken in. */
export const lastSpoken = (state: ArbiterState | undefined): Term =>
  toTerm((state?.term ?? 0) - (state?.unproven === true ? 1 : 0));
