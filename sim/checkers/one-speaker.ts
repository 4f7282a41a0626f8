/**
 * One speaker: in each term only the holder that the arbiter chose speaks, and nobody speaks in an
 * older term once a newer one has spoken.
 *
 * One thing no protocol without leases can prevent: an acknowledgement that the *network* delivers
 * after the takeover releases an output that the new primary knows of. To the world that is a frame
 * which was late on its way. So it is counted, and it is a violation unless the acknowledgement was
 * still in the network when the newer term began to speak: one that waited in the node itself,
 * while its process stood still, must release nothing.
 */
import type { SimArbiter } from '../sim-arbiter.ts';
import {
  type Booted,
  type Checker,
  type GaveUp,
  type Released,
  type TookOver,
  Violation,
} from './facts.ts';

export class OneSpeaker implements Checker {
  readonly #arbiter: SimArbiter;
  readonly #firstSpokeAt = new Map<number, number>();
  #newest = 0;
  /** Outputs whose acknowledgement the network delivered after a takeover. */
  late = 0;

  constructor(arbiter: SimArbiter) {
    this.#arbiter = arbiter;
  }

  released({ atMs, node, holder, term, ackArrivedAt }: Released): void {
    this.#mustHold(node, holder, term);
    if (this.#arbiter.unproven.has(term)) {
      throw new Violation('one-speaker', `${node} speaks in term ${term}, which is unproven`);
    }
    if (term < this.#newest) {
      const newerSince = this.#firstSpokeAt.get(this.#newest) ?? atMs;
      if (ackArrivedAt === undefined || ackArrivedAt < newerSince) {
        throw new Violation(
          'one-speaker',
          `${node} speaks in term ${term} after term ${this.#newest} has spoken`,
        );
      }
      this.late += 1;
      return;
    }
    this.#newest = term;
    if (!this.#firstSpokeAt.has(term)) this.#firstSpokeAt.set(term, atMs);
  }

  tookOver({ node, holder, term }: TookOver): void {
    this.#mustHold(node, holder, term);
  }

  booted({ node, holder, term }: Booted): void {
    this.#mustHold(node, holder, term);
  }

  /**
   * A machine must not end because its node does not recognise its own claim, nor for another one
   * that has yet to prove that it can go on.
   */
  gaveUp({ node, holder }: GaveUp): void {
    const newest = this.#arbiter.state;
    if (newest?.holder === holder) {
      throw new Violation('one-speaker', `${node} gives up, but holds term ${newest.term}`);
    }
    if (newest?.unproven !== true) return;
    throw new Violation(
      'one-speaker',
      `${node} gives up for term ${newest.term}, which is unproven`,
    );
  }

  #mustHold(node: string, holder: string, term: number): void {
    const given = this.#arbiter.given.get(term);
    if (given === holder) return;
    throw new Violation(
      'one-speaker',
      `${node} acts in term ${term} as ${holder}, but the arbiter gave it to ${given ?? 'nobody'}`,
    );
  }
}
