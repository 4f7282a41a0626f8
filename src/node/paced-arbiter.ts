/**
 * An arbiter that is asked less and less often while it does not answer, and told of meanwhile.
 * Each question is asked once; who gets no answer asks again.
 */
import { asError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Arbiter, ArbiterState, CompareAndSetResult } from '../ports/arbiter.ts';
import { Attempts } from './attempts.ts';
import type { Concerns } from './concerns.ts';

export class PacedArbiter implements Arbiter {
  readonly #arbiter: Arbiter;
  readonly #attempts: Attempts;

  constructor(arbiter: Arbiter, concerns: Concerns) {
    this.#arbiter = arbiter;
    const pauseMsMax = limits.arbiterRetryMsMax;
    this.#attempts = new Attempts({ about: 'arbiter', concerns, pauseMsMax });
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
      this.#attempts.failed(
        `it does not answer, and nobody wins a term: ${asError(thrown).message}`,
      );
      throw thrown;
    }
  }
}
