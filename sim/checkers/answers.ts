/** Whoever asks a node gets one answer, unless the node dies first. */
import type { Answer } from '../../src/core/effects.ts';
import { Violation } from './facts.ts';

/** Who asks what node in which of its lives, and when; `heard` is told the answer. */
export interface Asked {
  readonly node: string;
  readonly holder: string;
  readonly atMs: number;
  readonly heard?: ((answer: Answer) => void) | undefined;
}

export class Answers {
  #next = 1;
  readonly #waiting = new Map<number, Asked>();

  /** When the oldest question that waits for its answer was asked. */
  get waitingSinceMs(): number | undefined {
    return this.#waiting.values().next().value?.atMs;
  }

  /** Returns the number of the question. */
  asked(asked: Asked): number {
    const ask = this.#next;
    this.#next += 1;
    this.#waiting.set(ask, asked);
    return ask;
  }

  answered(ask: number, answer: Answer): void {
    const asked = this.#waiting.get(ask);
    if (asked === undefined) {
      throw new Violation('answers', `question ${ask} was answered, and nobody waits for that`);
    }
    this.#waiting.delete(ask);
    asked.heard?.(answer);
  }

  ended(holder: string): void {
    for (const [ask, asked] of this.#waiting) {
      if (asked.holder === holder) this.#waiting.delete(ask);
    }
  }
}
