/**
 * How far a copy is behind, and whether it still moves.
 *
 * The replayer is asked for its icount. Each segment's icount and time of arrival is remembered
 * until it is executed; the lag is the age of the oldest segment that is not.
 *
 * A replayer whose FIFO is dry does not answer: it waits for log while it holds its lock (R1). So
 * silence is a stall only while there is log that it has not executed.
 */
import { limits } from '../base/limits.ts';

export interface LagSample {
  readonly appliedIcount: number;
}

export interface LagMeterOptions {
  readonly query: (deadlineMs: number) => Promise<number> | undefined;
  /** True while the copy is not expected to move. */
  readonly idle: () => boolean;
  readonly onSample: (sample: LagSample) => void;
  readonly onStall: (reason: string) => void;
}

interface Received {
  readonly icount: number;
  readonly at: number;
}

export class LagMeter {
  readonly #options: LagMeterOptions;
  readonly #timer: NodeJS.Timeout;
  #received: Received[] = [];
  #applied = 0;
  #lastIcount = 0;
  #movedAt = 0;
  #asking = false;

  constructor(options: LagMeterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#ask(), limits.lagPollMs);
  }

  /** Instructions that the copy is known to have executed. */
  get appliedIcount(): number {
    return this.#applied;
  }

  start(icount: number): void {
    this.#applied = icount;
    this.#lastIcount = icount;
    this.#movedAt = performance.now();
  }

  /** A segment that ends at `icount` arrived. */
  received(icount: number): void {
    if (icount === this.#lastIcount) return;
    const at = performance.now();
    // Time spent waiting for log is not time spent standing still.
    if (this.#received.length === 0) this.#movedAt = at;
    this.#lastIcount = icount;
    this.#received.push({ icount, at });
  }

  /** The lag by the latest answer, milliseconds. */
  get currentMs(): number {
    return this.lagMs(this.#applied);
  }

  /** Milliseconds since the oldest segment arrived that was not executed at `applied`; 0 if none. */
  lagMs(applied: number): number {
    const oldest = this.#received.find(({ icount }) => icount > applied);
    return oldest === undefined ? 0 : performance.now() - oldest.at;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    if (this.#asking || this.#options.idle()) {
      if (this.#options.idle()) this.#movedAt = performance.now();
      return;
    }
    this.#asking = true;
    try {
      const applied = await this.#options.query(limits.stallMs);
      if (applied === undefined) return;
      if (applied > this.#applied) this.#movedAt = performance.now();
      this.#applied = applied;
      this.#options.onSample({ appliedIcount: applied });
      const executed = this.#received.findIndex(({ icount }) => icount > applied);
      this.#received = executed < 0 ? [] : this.#received.slice(executed);
    } catch {
      // No answer: judged below like an answer that shows no progress.
    } finally {
      this.#asking = false;
    }
    this.#judge();
  }

  #judge(): void {
    const oldest = this.#received[0];
    if (oldest === undefined || this.#options.idle()) return;
    const stillMs = performance.now() - Math.max(this.#movedAt, oldest.at);
    if (stillMs < limits.stallMs) return;
    this.#options.onStall(
      `no instruction was executed for ${Math.round(stillMs)} ms: it stands at icount ${this.#applied}, the log goes to ${this.#lastIcount}`,
    );
  }
}
