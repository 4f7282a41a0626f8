/** The product's own claim (src/core/claim.ts) with an arbiter behind it, for tests of arbiters. */
import type { Term } from '../../src/base/units.ts';
import { Claim, type ClaimOutcome } from '../../src/core/claim.ts';
import type { NodeEffect, NodeEvent } from '../../src/core/effects.ts';
import { askArbiter } from '../../src/node/arbiter-asks.ts';
import type { Arbiter, ArbiterState } from '../../src/ports/arbiter.ts';

export class Terms {
  readonly #arbiter: Arbiter;
  /** One life of a node; see the arbiter's obligation 6. */
  readonly #holder: string;
  #asks = 0;

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
    const asked: NodeEffect[] = [];
    const claim = new Claim({
      wish: { expected, holder: this.#holder },
      nextAsk: () => {
        this.#asks += 1;
        return this.#asks;
      },
      emit: (effect) => asked.push(effect),
    });
    for (let next = asked.shift(); next !== undefined; next = asked.shift()) {
      const outcome = claim.step(await answerOf(this.#arbiter, next));
      if (outcome !== undefined) return outcome;
    }
    throw new Error('a claim that asks nothing and has no outcome');
  }
}

/** What the arbiter says to an ask of the core, as the driver of a node tells it. */
export async function answerOf(arbiter: Arbiter, effect: NodeEffect): Promise<NodeEvent> {
  if (effect.type !== 'readArbiter' && effect.type !== 'compareAndSet') {
    throw new Error(`${effect.type} is nothing to ask an arbiter`);
  }
  return (await askArbiter(arbiter, effect)).event;
}
