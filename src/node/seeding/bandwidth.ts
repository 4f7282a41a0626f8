/**
 * A bound on bytes per second: a token bucket that callers queue at.
 *
 * Intuition: tokens fall into the bucket at the rate; taking may leave it in debt, and whoever
 * comes next waits until the debt is paid. So one piece never waits for itself, and over any
 * stretch of time t at most rate * t + burst + one piece is taken.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface BandwidthOptions {
  /** Infinity: no bound. */
  readonly bytesPerSecond: number;
  /** What may be taken at once after a pause. */
  readonly burstBytes: number;
  /** Milliseconds of a monotonic clock. @default performance.now */
  readonly now?: () => number;
  /** @default a timer; rejects when the signal fires */
  readonly wait?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
}

export class Bandwidth {
  readonly #options: Required<BandwidthOptions>;
  #tokens: number;
  #filledAt: number;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: BandwidthOptions) {
    this.#options = {
      now: () => performance.now(),
      wait: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
      ...options,
    };
    this.#tokens = options.burstBytes;
    this.#filledAt = this.#options.now();
  }

  /**
   * Resolves when `bytes` may be sent, in the order of the calls. Rejects when the signal fires.
   */
  take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (!Number.isFinite(this.#options.bytesPerSecond)) return Promise.resolve();
    const taken = this.#queue.then(() => this.#take(bytes, signal));
    this.#queue = taken.catch(() => undefined);
    return taken;
  }

  async #take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const { bytesPerSecond, wait } = this.#options;
    for (this.#fill(); this.#tokens < 0; this.#fill()) {
      await wait(Math.ceil((-this.#tokens / bytesPerSecond) * 1000), signal);
    }
    this.#tokens -= bytes;
  }

  #fill(): void {
    const { bytesPerSecond, burstBytes, now } = this.#options;
    const at = now();
    const fallen = ((at - this.#filledAt) / 1000) * bytesPerSecond;
    this.#tokens = Math.min(burstBytes, this.#tokens + fallen);
    this.#filledAt = at;
  }
}
