/** An arbiter in memory: the contract without a medium, for the simulator and for tests. */
import type { Arbiter, ArbiterState, CompareAndSetResult } from '../ports/arbiter.ts';
import { checkNext, sameState } from './state.ts';

export class MemoryArbiter implements Arbiter {
  #state: ArbiterState | undefined;

  async read(): Promise<ArbiterState | undefined> {
    return this.#state;
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    checkNext(expected, next);
    if (!sameState(this.#state, expected)) return { won: false, current: this.#state };
    this.#state = next;
    return { won: true };
  }
}
