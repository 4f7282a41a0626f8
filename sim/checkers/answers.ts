/** Whoever asks a node gets one answer, unless the node dies first. */
import { Violation } from './facts.ts';

export class Answers {
  #next = 1;
  readonly #waiting = new Map<
    number,
    { readonly node: string; readonly holder: string; readonly atMs: number }
  >();

  /** When the oldest question that waits for its answer was asked. */
  get waitingSinceMs(): number | undefined {
    return this.#waiting.values().next().value?.atMs;
  }

  asked(node: string, holder: string, atMs: number): number {
    const ask = this.#next;
    this.#next += 1;
    this.#waiting.set(ask, { node, holder, atMs });
    return ask;
  }

  answered(ask: number): void {
    if (this.#waiting.delete(ask)) return;
    throw new Violation('answers', `question ${ask} was answered, and nobody waits for that`);
  }

  ended(holder: string): void {
    for (const [ask, asked] of this.#waiting) {
      if (asked.holder === holder) this.#waiting.delete(ask);
    }
  }
}
