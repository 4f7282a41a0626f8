/**
 * Long work on the node's only thread, in slices: outputs and log of the machine go in between.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { limits } from '../../base/limits.ts';

export class Pace {
  readonly #signal: AbortSignal;
  #since = performance.now();

  /** Work that is paced ends with the signal's reason when the signal fires. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Call it often, between two small steps: it lets others in when the slice is used up. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#since < limits.seedSliceMs) return;
    await nextTurn();
    this.#signal.throwIfAborted();
    this.#since = performance.now();
  }
}
