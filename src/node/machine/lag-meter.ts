/**
 * How far a copy is behind, and whether it still moves.
 *
 * The log carries markers, and a replayer echoes each one when it has executed all that is before
 * it. So progress is told by the copy itself; its monitor is not asked, which on a busy machine may
 * not answer for seconds. Each segment's icount and time of arrival is remembered until it is
 * executed; the lag is the age of the oldest segment that is not. It is known to one epoch.
 *
 * A copy has stalled when a marker waits for its echo and nothing moves: no echo comes, and no log
 * is read. Log may be read for seconds without an echo, by a guest that polls or that is idle. Long
 * before that it is told that the copy stands still: it may only not be served by the machine that
 * it is on.
 */
import { limits } from '../../base/limits.ts';
import type { Epoch } from '../../base/units.ts';

export interface LagMeterOptions {
  /** True while the copy is not expected to move. */
  readonly idle: () => boolean;
  /** Bytes of log that the copy has read in all. */
  readonly readBytes: () => number;
  /** Called every `lagPollMs` while it is. */
  readonly onSample: () => void;
  /** Called every `lagPollMs` while a marker waits and nothing has moved for `standingMs`. */
  readonly onStanding: () => void;
  /** A copy that was told to stand still has moved again, after so long. */
  readonly onMoved: (stoodMs: number) => void;
  readonly onStall: (reason: string) => void;
}

interface Received {
  readonly icount: number;
  readonly at: number;
}

interface AwaitedEcho {
  readonly epoch: Epoch;
  readonly icount: number;
}

export class LagMeter {
  readonly #options: LagMeterOptions;
  readonly #timer: NodeJS.Timeout;
  #received: Received[] = [];
  /** Markers in the log that was received, in order. */
  #awaited: AwaitedEcho[] = [];
  #applied = 0;
  #lastIcount = 0;
  /** When the copy last moved, or had nothing to do. */
  #calmAt = 0;
  #readBytes = 0;
  /** It was told that the copy stands still, since `#calmAt` of then. */
  #standingSince: number | undefined;

  constructor(options: LagMeterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), limits.lagPollMs);
  }

  /** Instructions that the copy is known to have executed. */
  get appliedIcount(): number {
    return this.#applied;
  }

  /** Milliseconds since the oldest segment arrived that is not known to be executed; 0 if none. */
  get ms(): number {
    const oldest = this.#received[0];
    return oldest === undefined ? 0 : performance.now() - oldest.at;
  }

  /** Every marker that arrived was executed. */
  get isCaughtUp(): boolean {
    return this.#awaited.length === 0;
  }

  start(icount: number): void {
    this.#applied = icount;
    this.#lastIcount = icount;
    this.#calmAt = performance.now();
  }

  /** A segment that ends at `icount` arrived, with these markers in it. */
  received(icount: number, markers: readonly AwaitedEcho[]): void {
    const at = performance.now();
    // Time spent waiting for log is not time spent standing still.
    if (this.#awaited.length === 0) this.#calmAt = at;
    for (const { epoch, icount: before } of markers) this.#awaited.push({ epoch, icount: before });
    if (icount === this.#lastIcount) return;
    this.#lastIcount = icount;
    this.#received.push({ icount, at });
  }

  /** The copy has executed all that is before the marker of this epoch. */
  echoed(epoch: Epoch): void {
    const at = this.#awaited.findIndex((awaited) => awaited.epoch === epoch);
    if (at < 0) return; // the marker that a seed began behind
    this.#applied = this.#awaited[at]?.icount ?? this.#applied;
    this.#awaited.splice(0, at + 1);
    this.#calmAt = performance.now();
    const ahead = this.#received.findIndex(({ icount }) => icount > this.#applied);
    this.#received.splice(0, ahead < 0 ? this.#received.length : ahead);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (this.#options.idle()) {
      this.#calmAt = performance.now();
      this.#standingSince = undefined;
      return;
    }
    this.#options.onSample();
    const readBytes = this.#options.readBytes();
    if (readBytes !== this.#readBytes) this.#calmAt = performance.now();
    this.#readBytes = readBytes;
    if (this.#standingSince !== undefined && this.#calmAt !== this.#standingSince) {
      this.#options.onMoved(this.#calmAt - this.#standingSince);
      this.#standingSince = undefined;
    }
    if (this.#awaited.length === 0) return;
    const stillMs = performance.now() - this.#calmAt;
    if (stillMs < limits.standingMs) return;
    if (stillMs < limits.stallMs) {
      this.#standingSince = this.#calmAt;
      this.#options.onStanding();
      return;
    }
    this.#options.onStall(
      `no log was read and no marker executed for ${Math.round(stillMs)} ms: it stands at icount ${this.#applied}, the log goes to ${this.#lastIcount}`,
    );
  }
}
