/**
 * A node's dealings with the arbiter: claim the term after the present one, and know who holds it.
 */
import { asError, UnderstudyError } from '../base/errors.ts';
import { type Term, term as toTerm } from '../base/units.ts';
import type { Arbiter, ArbiterState } from '../ports/arbiter.ts';

export type ClaimOutcome =
  | { readonly type: 'termWon'; readonly term: Term }
  | { readonly type: 'termLost'; readonly holder: string }
  | { readonly type: 'arbiterUnreachable'; readonly reason: string };

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
      if (current !== undefined && this.#isOurs(current, expected)) {
        return { type: 'termWon', term: current.term };
      }
      if ((current?.term ?? 0) !== expected) {
        return { type: 'termLost', holder: current?.holder ?? 'nobody' };
      }
      const next: ArbiterState = { term: toTerm(expected + 1), holder: this.#holder };
      const result = await this.#arbiter.compareAndSet(current, next);
      if (result.won) return { type: 'termWon', term: next.term };
      // A network that delivered our claim twice may tell us only what became of the second one.
      if (result.current !== undefined && this.#isOurs(result.current, expected)) {
        return { type: 'termWon', term: next.term };
      }
      return { type: 'termLost', holder: result.current?.holder ?? 'nobody' };
    } catch (thrown) {
      // With cause and hint: a full disk and a missing right look alike without them.
      const reason =
        thrown instanceof UnderstudyError ? thrown.describe() : asError(thrown).message;
      return { type: 'arbiterUnreachable', reason };
    }
  }

  /** True when a claim of ours was applied although its answer was lost. */
  #isOurs(current: ArbiterState, expected: Term): boolean {
    return current.term === expected + 1 && current.holder === this.#holder;
  }
}

/** The node name in a holder. */
export function holderNode(state: ArbiterState): string {
  return state.holder.split(':')[0] ?? state.holder;
}
