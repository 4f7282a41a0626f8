/**
 * The outside world, which knows nothing of nodes and terms: what it hears must be one story of one
 * deterministic machine. It may miss words at a takeover, as on any network. It never hears a word
 * twice with two meanings, a word out of order, or a word that the machine later knows nothing of.
 * A takeover on purpose costs no word at all.
 */
import { type Checker, type Released, type TookOver, Violation } from './facts.ts';

export class Onlooker implements Checker {
  #boot = -1;
  /** What was heard of the present story, by index. */
  #heard = new Map<number, number>();
  #last = -1;
  /** Words heard, and words missed at takeovers. */
  words = 0;
  missed = 0;

  released({ node, history, indices, ackArrivedAt }: Released): void {
    if (history.boot < this.#boot) {
      throw new Violation('onlooker', `${node} tells a story that a reboot has ended`);
    }
    if (history.boot > this.#boot) {
      this.#boot = history.boot;
      this.#heard = new Map();
      this.#last = -1;
    }
    for (const index of indices) {
      const value = history.outputs[index]?.value;
      const before = this.#heard.get(index);
      if (value === undefined || (before !== undefined && before !== value)) {
        throw new Violation(
          'onlooker',
          `word ${index} from ${node} was ${before}, now it is ${value}`,
        );
      }
      // Whether a late word was allowed to be late is for one-speaker to say.
      if (index <= this.#last && ackArrivedAt === undefined) {
        throw new Violation('onlooker', `${node} says word ${index} after word ${this.#last}`);
      }
      if (index > this.#last + 1) this.missed += index - this.#last - 1;
      this.#last = Math.max(this.#last, index);
      this.#heard.set(index, value);
      this.words += 1;
    }
  }

  tookOver({ node, history, state, isDrill }: TookOver): void {
    if (history.boot !== this.#boot) return;
    if (isDrill && this.#last !== state.outputs - 1) {
      throw new Violation(
        'onlooker',
        `${node} was handed a machine that said word ${state.outputs - 1}; heard was ${this.#last}`,
      );
    }
    if (this.#last >= state.outputs) {
      throw new Violation(
        'onlooker',
        `${node} took over before it said word ${state.outputs}, but word ${this.#last} was heard`,
      );
    }
    for (const [index, value] of this.#heard) {
      if (history.outputs[index]?.value === value) continue;
      throw new Violation('onlooker', `${node} took over a machine that never said word ${index}`);
    }
  }
}
