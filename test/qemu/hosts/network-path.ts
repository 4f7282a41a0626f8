/**
 * One direction of an emulated link: what happens to each frame on its way.
 *
 * Two hosts that lose each other seldom lose each other evenly, so each direction is set by itself.
 * Chance comes from a seed: the same frames in the same order meet the same fate.
 */
import { Prng } from '../../../sim/prng.ts';

export interface Impairment {
  /** Of 1000 frames so many are lost, each by itself. */
  readonly lossPermille: number;
  /** Each frame takes so long; nothing is overtaken unless the delay is shortened meanwhile. */
  readonly delayMs: number;
  /** Nothing gets through, and what is on its way is lost. */
  readonly isCut: boolean;
}

export const unimpaired: Impairment = { lossPermille: 0, delayMs: 0, isCut: false };

export class NetworkPath {
  readonly #deliver: (frame: Buffer) => void;
  readonly #prng: Prng;
  #impairment = unimpaired;

  constructor(seed: number, deliver: (frame: Buffer) => void) {
    this.#prng = new Prng(seed);
    this.#deliver = deliver;
  }

  set(impairment: Impairment): void {
    this.#impairment = impairment;
  }

  take(frame: Buffer): void {
    const { lossPermille, delayMs, isCut } = this.#impairment;
    if (isCut || this.#prng.chance(lossPermille)) return;
    if (delayMs === 0) {
      this.#deliver(frame);
      return;
    }
    // Node's timers count in whole milliseconds and may be up to one early: never less than asked.
    setTimeout(() => {
      if (!this.#impairment.isCut) this.#deliver(frame);
    }, delayMs + 1);
  }
}
