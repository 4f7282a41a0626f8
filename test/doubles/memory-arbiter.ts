/**
 * An arbiter in memory: the contract without a medium, for tests. It is set up, unless it is said
 * that it is not.
 */

import { NeverSetUp, newIdentity } from '../../src/arbiter/identity.ts';
import { checkNext } from '../../src/arbiter/state.ts';
import {
  type ArbiterSetUp,
  type ArbiterSight,
  type ArbiterState,
  type ArbiterWithIdentity,
  type CompareAndSetResult,
  sameState,
} from '../../src/ports/arbiter.ts';

export class MemoryArbiter implements ArbiterWithIdentity {
  #identity: string | undefined;
  #state: ArbiterState | undefined;

  constructor({ isSetUp = true }: { readonly isSetUp?: boolean } = {}) {
    this.#identity = isSetUp ? newIdentity() : undefined;
  }

  async read(): Promise<ArbiterState | undefined> {
    return this.#state;
  }

  async look(): Promise<ArbiterSight> {
    return { identity: this.#identity, state: this.#state };
  }

  async setUp(): Promise<ArbiterSetUp> {
    const isNew = this.#identity === undefined;
    this.#identity ??= newIdentity();
    return { identity: this.#identity, isNew };
  }

  /** As one that lost everything. */
  wipe(): void {
    this.#identity = undefined;
    this.#state = undefined;
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    checkNext(expected, next);
    if (this.#identity === undefined) throw new NeverSetUp('The arbiter in memory');
    if (!sameState(this.#state, expected)) return { won: false, current: this.#state };
    this.#state = next;
    return { won: true };
  }
}
