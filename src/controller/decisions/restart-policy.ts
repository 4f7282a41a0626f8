/**
 * When a node that has ended is started again, and when that is given up.
 *
 * Intuition: the delay is a function of how many restarts lie within the window behind us, so
 * nothing has to be reset: a node that runs well again is forgiven as the window moves on.
 *
 * Contract
 *  1. Exit code 0 is somebody's wish, and 2 a file that is wrong: neither leads to a restart.
 *  2. Any other end leads to one after `restartMsMin`, doubled for each restart within
 *     `restartWindowMs`, up to `restartMsMax`.
 *  3. With `restartsMax` restarts within the window there is no further one.
 */
import { controllerLimits } from '../limits.ts';
import type { Ending } from './effects.ts';

/** Exit codes of src/cli/exit.ts. */
const asWished = 0;
const wrongFile = 2;

type Verdict =
  | { readonly verdict: 'rest' | 'refuse' | 'giveUp' }
  | { readonly verdict: 'restart'; readonly afterMs: number };

export class RestartPolicy {
  /** When it was restarted, within the window. */
  #restarts: number[] = [];
  #total = 0;

  /** Since the node is known. */
  get total(): number {
    return this.#total;
  }

  judge({ code }: Pick<Ending, 'code'>, nowMs: number): Verdict {
    if (code === asWished) return { verdict: 'rest' };
    if (code === wrongFile) return { verdict: 'refuse' };
    const { restartMsMin, restartMsMax, restartsMax, restartWindowMs } = controllerLimits;
    this.#restarts = this.#restarts.filter((at) => nowMs - at < restartWindowMs);
    const count = this.#restarts.length;
    if (count >= restartsMax) return { verdict: 'giveUp' };
    return { verdict: 'restart', afterMs: Math.min(restartMsMin * 2 ** count, restartMsMax) };
  }

  restarted(nowMs: number): void {
    this.#restarts.push(nowMs);
    this.#total += 1;
  }

  /** Something has changed, or somebody asked: what was before says nothing of what comes. */
  forgive(): void {
    this.#restarts = [];
  }
}
