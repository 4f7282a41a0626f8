/**
 * Flow control: how much of the primary's time is taken away so that its backup can follow.
 *
 * Intuition: a backup that executes as fast as the primary records never makes up for what it
 * missed while it was seeded. Below the soft bound the primary runs freely; above it, it stands
 * still for a share of the time that grows with the lag, up to a limit at which any replayer wins.
 *
 * Contract
 *  1. The share is 0 up to `softLagMs` and never above `shareMax`.
 *  2. It never falls when the lag grows.
 */
import { limits } from '../base/limits.ts';

/** Share of the time, 0 to 1, that the primary is to stand still at this lag. */
export function throttleShare(lagMs: number): number {
  const { softLagMs, fullThrottleLagMs, throttleShareMax } = limits;
  if (lagMs <= softLagMs) return 0;
  const share = (lagMs - softLagMs) / (fullThrottleLagMs - softLagMs);
  return Math.min(throttleShareMax, share * throttleShareMax);
}
