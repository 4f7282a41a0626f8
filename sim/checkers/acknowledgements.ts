/**
 * What an acknowledgement promises: the log up to there is held when it is given (in memory, or on
 * disk), and whoever takes over has executed all that was acknowledged by it.
 */
import type { History } from '../history.ts';
import { type Acknowledged, type Checker, type TookOver, Violation } from './facts.ts';

export class Acknowledgements implements Checker {
  /** The greatest acknowledged position, by node, of the copy of one history. */
  readonly #promised = new Map<string, { history: History; position: number }>();

  acknowledged({ node, history, position, mode, held, durable }: Acknowledged): void {
    const has = mode === 'received' ? held : durable;
    if (position > has) {
      throw new Violation(
        'acknowledgements',
        `${node} acknowledged ${position}, but what is ${mode} ends at ${has}`,
      );
    }
    if (history !== undefined) this.#promised.set(node, { history, position });
  }

  tookOver({ node, history, position }: TookOver): void {
    const promised = this.#promised.get(node);
    this.#promised.delete(node);
    if (promised === undefined || promised.history !== history) return;
    if (position >= promised.position) return;
    throw new Violation(
      'acknowledgements',
      `${node} took over at ${position}, but had acknowledged ${promised.position}`,
    );
  }
}
