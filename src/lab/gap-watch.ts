/** Finds the silences in a series of signs of life: when each began, when it ended. */
import { demoLimits } from './limits.ts';

/** Times are milliseconds since 1970, so that records of several processes can be compared. */
export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

export class GapWatch {
  readonly #gapMs: number;
  #lastMs: number | undefined;
  #longest: Gap | undefined;
  #gaps: Gap[] = [];

  constructor(gapMs: number = demoLimits.gapMs) {
    this.#gapMs = gapMs;
  }

  saw(atMs: number): void {
    const fromMs = this.#lastMs;
    this.#lastMs = atMs;
    if (fromMs === undefined) return;
    const gap = { fromMs, toMs: atMs };
    if (this.#longest === undefined || length(gap) > length(this.#longest)) this.#longest = gap;
    if (length(gap) < this.#gapMs) return;
    this.#gaps.push(gap);
    if (this.#gaps.length > demoLimits.gapsKept) this.#gaps.shift();
  }

  get longestMs(): number {
    return this.#longest === undefined ? 0 : length(this.#longest);
  }

  /** Silences of at least the limit, the last of them when there were very many. */
  get gaps(): readonly Gap[] {
    return this.#gaps;
  }
}

const length = (gap: Gap): number => gap.toMs - gap.fromMs;

/** Now, in milliseconds since 1970 with a fraction, on a clock that never jumps. */
export const nowMs = (): number => performance.timeOrigin + performance.now();
