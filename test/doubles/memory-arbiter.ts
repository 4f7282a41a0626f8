/** An arbiter in memory: the contract without a medium, for the simulator and for tests. */

import { checkNext } from '../../src/arbiter/state.ts';
import {
  type Arbiter,
  type ArbiterState,
  type CompareAndSetResult,
  sameState,
} from '../../src/ports/arbiter.ts';

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
