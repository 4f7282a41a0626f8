/**
 * Attempts at what a node needs from elsewhere: made less and less often while they fail, and told
 * as a concern for so long, when it is known what they are about.
 *
 * Intuition: most of what fails passes within a second, and a pair is unprotected meanwhile. What a
 * person has to mend takes minutes. So before the next attempt there is a tenth of the time that
 * they have failed for, and nobody has to know which of the two it is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../base/limits.ts';
import type { Concerns } from './concerns.ts';

export interface AttemptsOptions {
  /** Where they are told of, and what a concern calls them. */
  readonly tells?: { readonly about: string; readonly concerns: Concerns };
  /** Between two attempts. */
  readonly pauseMsMax: number;
  /** @default performance.now */
  readonly now?: () => number;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #now: () => number;
  #failingSince: number | undefined;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** One failed. Without a problem nothing is told: somebody else does. */
  failed(problem?: string): void {
    const { tells } = this.#options;
    this.#failingSince ??= this.#now();
    if (problem !== undefined) tells?.concerns.tell(tells.about, problem);
  }

  succeeded(): void {
    const { tells } = this.#options;
    this.#failingSince = undefined;
    tells?.concerns.tell(tells.about, undefined);
  }

  /** How long the next attempt has to wait. */
  get pauseMs(): number {
    if (this.#failingSince === undefined) return 0;
    const failedMs = this.#now() - this.#failingSince;
    return Math.min(this.#options.pauseMsMax, failedMs * limits.retryShare);
  }

  /** Waits for that long. */
  async pause(): Promise<void> {
    const ms = this.pauseMs;
    if (ms >= 1) await sleep(ms, undefined, { ref: false });
  }
}
