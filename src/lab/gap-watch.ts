/** Finds the longest silence in a series of signs of life. */
export class GapWatch {
  #lastMs: number | undefined;
  longestMs = 0;

  /** A sign of life; milliseconds since 1970. */
  saw(atMs: number): void {
    this.longestMs = Math.max(this.longestMs, atMs - (this.#lastMs ?? atMs));
    this.#lastMs = atMs;
  }
}

/** Now, in milliseconds since 1970 with a fraction, on a clock that never jumps. */
export const nowMs = (): number => performance.timeOrigin + performance.now();
