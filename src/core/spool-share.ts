/**
 * Flow control of a seed: how much of the primary's time is taken away so that the log since the cut
 * fits into the backup's spool.
 *
 * Intuition: a spool that is half empty is no reason to slow anybody down. Beyond that the primary
 * stands still for a share of the time that grows with what is used, so that it records less and the
 * seed gets more of the link. When even that does not do, the backup gives the seed up.
 *
 * Contract
 *  1. The share is 0 up to half of the budget and never above `throttleShareMax`.
 *  2. It never falls when more is used.
 */
import { limits } from '../base/limits.ts';

/** Share of the time, 0 to 1, that the primary is to stand still. */
export function spoolShare(usedBytes: number, budgetBytes: number): number {
  const { spoolSoftShare, spoolHardShare, throttleShareMax } = limits;
  const used = usedBytes / budgetBytes;
  if (!(used > spoolSoftShare)) return 0;
  const share = (used - spoolSoftShare) / (spoolHardShare - spoolSoftShare);
  return Math.min(throttleShareMax, share * throttleShareMax);
}
