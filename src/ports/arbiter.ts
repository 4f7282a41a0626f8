/**
 * Arbiter: the third party that gives out terms. At most one node may speak in a term.
 *
 * Contract
 *  1. There is one state a pair: nothing yet, or {term, holder}, and whether the term is unproven.
 *     All operations of all processes behave as if done one after the other (linearizable).
 *  2. `compareAndSet` wins only when the state equals `expected` in all parts; then the state is
 *     `next`. Otherwise nothing changed, and `current` is a state that was seen after the call.
 *  3. `next.term` is `expected.term` + 1, or 1 when nothing is expected; anything else is a bug of
 *     the caller and throws. So terms only rise, and each is won exactly once.
 *  4. A won state survives the death of every process and, as far as the medium promises it, of the
 *     machine: it is durable before anyone is told of it.
 *  5. A rejected promise (code 'arbiter') from `compareAndSet` means: it may have happened. Read
 *     again; a state that equals `next` is yours.
 *  6. Therefore a holder names one life of a node, not only the node: two processes must never
 *     use the same holder.
 *  7. Nothing depends on a clock.
 *  8. An error because nobody answers now has `mayPass`; one because of what was written in the
 *     pair file, or of what the arbiter holds, has not: to ask again would not help.
 *  9. Beside the state there is an identity: a random name that `setUp` makes once and that stays
 *     for as long as the terms do. What holds no identity gives no terms: a directory that was
 *     wiped, a share that is not mounted or a server that lost everything is no arbiter. Terms that
 *     are there without one stay when it is made.
 * 10. `setUp` is for the operator; no node calls it. Done again, it changes nothing.
 */
import type { Term } from '../base/units.ts';

export interface ArbiterState {
  readonly term: Term;
  /** One life of a node: its name and something that differs at each start. */
  readonly holder: string;
  /**
   * Nobody speaks in this term: its holder claimed it to take over, and has to prove that it can
   * (src/core/terms.ts, 5).
   */
  readonly unproven?: true;
}

/** Equal in all parts (2). */
export function sameState(a: ArbiterState | undefined, b: ArbiterState | undefined): boolean {
  return a?.term === b?.term && a?.holder === b?.holder && a?.unproven === b?.unproven;
}

export type CompareAndSetResult =
  | { readonly won: true }
  | { readonly won: false; readonly current: ArbiterState | undefined };

export interface Arbiter {
  /** The present state, or `undefined` when no term was ever given. */
  read(): Promise<ArbiterState | undefined>;
  compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult>;
}

/** What an arbiter holds, at one instant. */
export interface ArbiterSight {
  /** `undefined`: it was never set up for this pair. */
  readonly identity: string | undefined;
  readonly state: ArbiterState | undefined;
}

export interface ArbiterSetUp {
  readonly identity: string;
  /** False: it was set up before, and nothing was changed. */
  readonly isNew: boolean;
}

/** An arbiter that says which one it is. */
export interface ArbiterWithIdentity extends Arbiter {
  /** Identity and state, in one question. */
  look(): Promise<ArbiterSight>;
  setUp(): Promise<ArbiterSetUp>;
}
