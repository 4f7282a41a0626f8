/** A cut is kept once, and what is kept is what the machine was there. */
import { type Checker, type KeptFact, Violation } from './facts.ts';

export class Cuts implements Checker {
  readonly #kept = new Set<string>();

  kept({ node, cutId, history, position, digest }: KeptFact): void {
    const key = `${history.boot} ${cutId}`;
    if (this.#kept.has(key)) throw new Violation('cuts', `${node} keeps cut ${cutId} twice`);
    this.#kept.add(key);
    if (history.digestsAt(position).includes(digest)) return;
    throw new Violation('cuts', `${node} keeps cut ${cutId} of a machine that never was`);
  }
}
