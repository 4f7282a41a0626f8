/**
 * An arbiter that is asked less and less often while it does not answer. Each question is asked
 * once; who gets no answer asks again, and says so (src/core/arbiter-watch.ts).
 */
import { limits } from '../base/limits.ts';
import type { Arbiter, ArbiterState, CompareAndSetResult } from '../ports/arbiter.ts';
import { Attempts } from './attempts.ts';

export class PacedArbiter implements Arbiter {
  readonly #arbiter: Arbiter;
  readonly #attempts = new Attempts({ pauseMsMax: limits.arbiterRetryMsMax });

  constructor(arbiter: Arbiter) {
    this.#arbiter = arbiter;
  }

  read(): Promise<ArbiterState | undefined> {
    return this.#ask(() => this.#arbiter.read());
  }

  compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    return this.#ask(() => this.#arbiter.compareAndSet(expected, next));
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    await this.#attempts.pause();
    try {
      const answer = await question();
      this.#attempts.succeeded();
      return answer;
    } catch (thrown) {
      this.#attempts.failed();
      throw thrown;
    }
  }
}
