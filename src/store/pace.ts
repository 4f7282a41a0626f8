/**
 * Long work in slices: who shares the thread gets his turn in between.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { storeLimits } from './limits.ts';

export class Pace {
  #since = performance.now();

  /** Call it between two small steps. `undefined`, at no cost, while the slice is not used up. */
  breathe(): Promise<void> | undefined {
    if (performance.now() - this.#since < storeLimits.sliceMs) return undefined;
    return nextTurn().then(() => {
      this.#since = performance.now();
    });
  }
}
