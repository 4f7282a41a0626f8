/** The requests of a load: how many succeeded, how fast, and each failure with reason and time. */
import { Distribution } from '../base/distribution.ts';
import { asError } from '../base/errors.ts';
import { nowMs } from './gap-watch.ts';
import { demoLimits } from './limits.ts';
import type { LoadFailure } from './load-record.ts';

export class RequestTally {
  readonly latencyMs = new Distribution();
  readonly failures: LoadFailure[] = [];
  readonly #onFailure: (failure: LoadFailure) => void;
  ok = 0;
  failed = 0;

  constructor(onFailure: (failure: LoadFailure) => void = () => {}) {
    this.#onFailure = onFailure;
  }

  /** Times one request. Returns its answer, or `undefined` if it failed (and was written down). */
  async run<T>(client: LoadFailure['client'], request: () => Promise<T>): Promise<T | undefined> {
    const fromMs = nowMs();
    try {
      const answer = await request();
      this.ok += 1;
      this.latencyMs.add(nowMs() - fromMs);
      return answer;
    } catch (thrown) {
      this.fail({
        client,
        atMs: nowMs(),
        afterMs: nowMs() - fromMs,
        reason: asError(thrown).message,
      });
      return undefined;
    }
  }

  fail(failure: LoadFailure): void {
    this.failed += 1;
    if (this.failures.length < demoLimits.failuresKept) this.failures.push(failure);
    this.#onFailure(failure);
  }
}
