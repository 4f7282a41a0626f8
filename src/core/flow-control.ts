/**
 * Flow control: how much of the primary's time is taken away so that its backup can follow, and
 * when a backup is too far behind to be followed.
 *
 * Intuition: a backup that executes as fast as the primary records never makes up for what it
 * missed while it was seeded. Below the soft bound the primary runs freely; above it, it stands
 * still for a share of the time that grows with the lag, up to a limit at which any replayer wins.
 * A lag that grows all the same has another reason, which slowing down does not cure.
 *
 * Contract
 *  1. The share is 0 up to `softLagMs` and never above `shareMax`.
 *  2. It never falls when the lag grows.
 *  3. A backup that has executed nothing yet cannot be helped by waiting, and one that catches up
 *     behind its seed is given the time: the hard bound is for a granted one.
 *  4. Past the hard bound, of lag for `hardLagHoldMs` on end or of bytes at once, the policy
 *     decides: `hold` stops the guest until half of the bound is reached (the pair stays
 *     protected); `runAlone` gives the backup up, once (the primary claims a term, and seeds anew).
 *  5. Log counts as lag from the marker behind it on: only a marker tells that it was executed. A
 *     guest that resets meets none for a while; to be slowed down for that would make it meet the
 *     next one later still.
 *  6. The round trip of the link is no lag: a copy that executes at once is as far away as its link
 *     is long.
 *  7. What was shipped is remembered by at most `backlogEntriesMax` entries: neighbours are joined,
 *     which makes the lag seem larger, never smaller.
 */
import { limits } from '../base/limits.ts';
import type { Icount, Millis } from '../base/units.ts';

/** Share of the time, 0 to 1, that the primary is to stand still at this lag. */
export function throttleShare(lagMs: number): number {
  const { softLagMs, fullThrottleLagMs, throttleShareMax } = limits;
  if (lagMs <= softLagMs) return 0;
  const share = (lagMs - softLagMs) / (fullThrottleLagMs - softLagMs);
  return Math.min(throttleShareMax, share * throttleShareMax);
}

/**
 * The same for what waits at a backup that is seeded, so that the log since the cut fits into its
 * spool. Half a spool is no reason to slow anybody down; when even the most does not do, the backup
 * gives the seed up.
 */
export function spoolShare(usedBytes: number, budgetBytes: number): number {
  const { spoolSoftShare, spoolHardShare, throttleShareMax } = limits;
  const used = usedBytes / budgetBytes;
  if (!(used > spoolSoftShare)) return 0;
  const share = (used - spoolSoftShare) / (spoolHardShare - spoolSoftShare);
  return Math.min(throttleShareMax, share * throttleShareMax);
}

export type FlowEvent =
  /**
   * `bytes` of log were given to the link; `marker`: where the last marker in them is, if there is
   * one.
   */
  | { readonly type: 'shipped'; readonly bytes: number; readonly marker: Icount | undefined }
  /** The backup has executed up to here. */
  | { readonly type: 'executed'; readonly icount: Icount }
  /** It may take over from now on. */
  | { readonly type: 'granted' }
  /** `roundTripMs`: of the link, as far as it is known. @default 0 */
  | { readonly type: 'timer'; readonly roundTripMs?: number | undefined };

export type FlowEffect =
  /** Stand still for this share of the time from now on. */
  | { readonly type: 'slowDown'; readonly share: number }
  | { readonly type: 'stopGuest' }
  | { readonly type: 'continueGuest' }
  | { readonly type: 'giveBackupUp'; readonly reason: string };

interface Shipped {
  icount: number;
  readonly at: Millis;
  bytes: number;
}

/** For one backup, from its cut on. */
export class FlowControl {
  readonly #policy: 'hold' | 'runAlone';
  #backlog: Shipped[] = [];
  #bytes = 0;
  /** Of these, what no marker is behind yet. */
  #unmarkedBytes = 0;
  #share = 0;
  #roundTripMs = 0;
  #pastSince: Millis | undefined;
  #isExecuting = false;
  #isGranted = false;
  #state: 'flowing' | 'stopped' | 'givenUp' = 'flowing';

  constructor(onBackupLag: 'hold' | 'runAlone') {
    this.#policy = onBackupLag;
  }

  /** Bytes that were shipped and are not executed. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Age of the oldest marker that was shipped and is not executed, without the way there and back.
   */
  lagMs(now: Millis): number {
    const oldest = this.#backlog[0];
    if (oldest === undefined || !this.#isExecuting) return 0;
    return Math.max(0, now - oldest.at - this.#roundTripMs);
  }

  step(event: FlowEvent, now: Millis): FlowEffect[] {
    switch (event.type) {
      case 'shipped':
        this.#ship(event.marker, event.bytes, now);
        return [];
      case 'executed':
        this.#isExecuting = true;
        this.#execute(event.icount);
        return [];
      case 'granted':
        this.#isGranted = true;
        return [];
      case 'timer':
        this.#roundTripMs = event.roundTripMs ?? 0;
        return this.#judge(now);
    }
  }

  #ship(marker: number | undefined, segmentBytes: number, now: Millis): void {
    this.#bytes += segmentBytes;
    this.#unmarkedBytes += segmentBytes;
    if (marker === undefined) return;
    const bytes = this.#unmarkedBytes;
    this.#unmarkedBytes = 0;
    const last = this.#backlog.at(-1);
    const isFull = this.#backlog.length >= limits.backlogEntriesMax;
    if (last !== undefined && (isFull || last.icount === marker)) {
      last.icount = marker;
      last.bytes += bytes;
    } else this.#backlog.push({ icount: marker, at: now, bytes });
  }

  #execute(icount: number): void {
    const left = this.#backlog.findIndex((entry) => entry.icount > icount);
    const done = this.#backlog.splice(0, left < 0 ? this.#backlog.length : left);
    for (const { bytes } of done) this.#bytes -= bytes;
  }

  #judge(now: Millis): FlowEffect[] {
    if (this.#state === 'givenUp') return [];
    const lagMs = this.lagMs(now);
    if (this.#state === 'stopped') {
      if (lagMs > limits.hardLagMs / 2 || this.#bytes > limits.hardBacklogBytes / 2) return [];
      this.#state = 'flowing';
      return [{ type: 'continueGuest' }];
    }
    if (this.#isPast(lagMs, now)) return [this.#pastHardBound(lagMs)];
    const share = throttleShare(lagMs);
    if (share === this.#share) return [];
    this.#share = share;
    return [{ type: 'slowDown', share }];
  }

  #isPast(lagMs: number, now: Millis): boolean {
    if (!this.#isGranted) return false;
    if (this.#bytes > limits.hardBacklogBytes) return true;
    if (lagMs <= limits.hardLagMs) this.#pastSince = undefined;
    else this.#pastSince ??= now;
    return this.#pastSince !== undefined && now - this.#pastSince >= limits.hardLagHoldMs;
  }

  #pastHardBound(lagMs: number): FlowEffect {
    this.#pastSince = undefined;
    if (this.#policy === 'hold') {
      this.#state = 'stopped';
      return { type: 'stopGuest' };
    }
    this.#state = 'givenUp';
    const reason = `the backup is ${Math.round(lagMs)} ms and ${this.#bytes} bytes of log behind`;
    return { type: 'giveBackupUp', reason };
  }
}
