/**
 * A node's dealings with the arbiter: claim the term after the present one, and know who holds it.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import type { Term } from '../base/units.ts';
import { type ClaimStep, judgeLoss, planClaim } from '../core/terms.ts';
import type { Arbiter, ArbiterState } from '../ports/arbiter.ts';

export type ClaimOutcome =
  | { readonly type: 'termWon'; readonly term: Term }
  | { readonly type: 'termLost'; readonly holder: string }
  /** `mayPass`: it only does not answer now. */
  | { readonly type: 'arbiterUnreachable'; readonly reason: string; readonly mayPass: boolean };

export class Terms {
  readonly #arbiter: Arbiter;
  /** One life of this node; see the arbiter's obligation 6. */
  readonly #holder: string;

  constructor(arbiter: Arbiter, nodeName: string, life: string) {
    this.#arbiter = arbiter;
    this.#holder = `${nodeName}:${life}`;
  }

  read(): Promise<ArbiterState | undefined> {
    return this.#arbiter.read();
  }

  /**
   * Claims the term after `expected` (0: no term was ever given). Never throws: an arbiter that
   * does not answer is an outcome. A claim whose answer was lost is recognised when repeated.
   */
  async claim(expected: Term): Promise<ClaimOutcome> {
    try {
      const current = await this.#arbiter.read();
      const plan = planClaim(current, expected, this.#holder);
      if (plan.type !== 'compareAndSet') return outcomeOf(plan);
      const result = await this.#arbiter.compareAndSet(plan.expected, plan.next);
      if (result.won) return { type: 'termWon', term: plan.next.term };
      return outcomeOf(judgeLoss(result.current, expected, this.#holder));
    } catch (thrown) {
      // With cause and hint: a full disk and a missing right look alike without them.
      const isKnown = thrown instanceof UnderstudyError;
      const reason = isKnown ? thrown.describe() : asError(thrown).message;
      return { type: 'arbiterUnreachable', reason, mayPass: isKnown && thrown.mayPass };
    }
  }
}

function outcomeOf(step: Exclude<ClaimStep, { type: 'compareAndSet' }>): ClaimOutcome {
  if (step.type === 'won') return { type: 'termWon', term: step.term };
  return { type: 'termLost', holder: step.holder };
}

/** The node name in a holder. */
export function holderNode(state: ArbiterState): string {
  return state.holder.split(':')[0] ?? state.holder;
}
