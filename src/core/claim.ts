/**
 * One claim of a term: read the arbiter, then one compare-and-set from what was read (terms.ts, 3).
 *
 * Contract
 *  1. There is one outcome. A claim without an answer is `unreachable`: it may have been won, and
 *     is recognised as won when it is repeated (terms.ts, 4). So is one that met an arbiter which
 *     was set back (terms.ts, 6): it is repeated until the right one is there.
 *  2. An answer to another ask than the last one changes nothing.
 */
import type { Term } from '../base/units.ts';
import type { Emit, NodeEvent } from './effects.ts';
import { type ClaimStep, type ClaimWish, judgeLoss, planClaim } from './terms.ts';

export type ClaimOutcome =
  | { readonly type: 'termWon'; readonly term: Term }
  | { readonly type: 'termLost'; readonly holder: string }
  /** It is somebody's who has yet to prove a takeover (terms.ts, 5). */
  | { readonly type: 'termContested'; readonly holder: string }
  | { readonly type: 'arbiterUnreachable'; readonly reason: string; readonly mayPass: boolean };

export interface ClaimOptions {
  readonly wish: ClaimWish;
  /** Gives each question a number of its own. */
  readonly nextAsk: () => number;
  readonly emit: Emit;
}

export class Claim {
  readonly #options: ClaimOptions;
  #ask: number;
  #next: Term | undefined;

  constructor(options: ClaimOptions) {
    this.#options = options;
    this.#ask = options.nextAsk();
    options.emit({ type: 'readArbiter', ask: this.#ask });
  }

  /** A compare-and-set was sent: without an answer it may have been won. */
  get mayBeWon(): boolean {
    return this.#next !== undefined;
  }

  /** The outcome, once there is one. */
  step(event: NodeEvent): ClaimOutcome | undefined {
    if (!('ask' in event) || event.ask !== this.#ask) return undefined;
    const { wish, nextAsk, emit } = this.#options;
    if (event.type === 'arbiterFailed') {
      const { reason, mayPass } = event;
      return { type: 'arbiterUnreachable', reason, mayPass };
    }
    if (event.type === 'arbiterRead' && this.#next === undefined) {
      const plan = planClaim(event.state, wish);
      if (plan.type !== 'compareAndSet') return this.#outcomeOf(plan);
      this.#next = plan.next.term;
      this.#ask = nextAsk();
      emit({
        ...{ type: 'compareAndSet', ask: this.#ask },
        ...{ expected: plan.expected, next: plan.next },
      });
      return undefined;
    }
    if (event.type !== 'arbiterSet' || this.#next === undefined) return undefined;
    if (event.result.won) return { type: 'termWon', term: this.#next };
    return this.#outcomeOf(judgeLoss(event.result.current, wish));
  }

  #outcomeOf(step: Exclude<ClaimStep, { type: 'compareAndSet' }>): ClaimOutcome {
    switch (step.type) {
      case 'won':
        return { type: 'termWon', term: step.term };
      case 'lost':
        return { type: 'termLost', holder: step.holder };
      case 'contested':
        return { type: 'termContested', holder: step.holder };
      case 'setBack': {
        const { expected, seen = expected } = this.#options.wish;
        const known = step.to === 0 ? 'no term' : `terms up to ${step.to}`;
        const newest = Math.max(expected, seen);
        const reason = `it knows ${known}, and term ${newest} was given: it was set back`;
        return { type: 'arbiterUnreachable', reason, mayPass: true };
      }
    }
  }
}

/** The node in a holder's name. */
export const nodeOf = (holder: string): string => holder.split(':')[0] ?? holder;
