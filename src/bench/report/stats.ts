/**
 * What can be said about repeated measurements: the middle, the spread, and whether the spread is
 * too wide for a verdict.
 *
 * Ratios are taken within a round, because what disturbs a machine for a minute disturbs both
 * arrangements of that round; then the median of the rounds is taken.
 */
import { Distribution } from '../../base/distribution.ts';
import type { Arrangement, Job, JobRun } from '../results.ts';

/** From this many values on, quartiles say more about the spread than the extremes. */
const quartilesFrom = 8;

/**
 * Runs of one arrangement that differ by more than this share of their median are noisy: with more
 * than that, a goal such as 1.10 cannot be told from 1.
 */
export const noisySpread = 0.1;

export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
  readonly p25: number;
  readonly p75: number;
  readonly p99: number;
  /**
   * Share of the median: between the quartiles, or between the extremes when there are fewer than
   * eight values. 0 for a single value and for a median of 0.
   */
  readonly spread: number;
}

/**
 * The middle value, or the mean of the two middle ones: with two rounds the lower one alone would
 * flatter. 0 when there are none.
 */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** By nearest rank: a value that was measured. 0 when there are none. */
export function percentile(values: readonly number[], q: number): number {
  return distributionOf(values).p(q);
}

/** `undefined` when there are no values. */
export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  const all = distributionOf(values);
  const middle = median(values);
  const p25 = all.p(0.25);
  const p75 = all.p(0.75);
  const width = all.count < quartilesFrom ? all.max - all.min : p75 - p25;
  return {
    count: all.count,
    median: middle,
    least: all.min,
    greatest: all.max,
    p25,
    p75,
    p99: all.p(0.99),
    spread: middle === 0 ? 0 : width / middle,
  };
}

/** The times of a job by an arrangement, milliseconds, in the order of the rounds. */
export function jobTimes(
  runs: readonly JobRun[],
  job: Job,
  arrangement: Arrangement,
): readonly number[] {
  return runs
    .filter((run) => run.job === job && run.arrangement === arrangement)
    .toSorted((a, b) => a.round - b.round)
    .map((run) => run.ms);
}

/** How often slower than `base` the arrangement did the job, for each round that has both. */
export function slowdowns(
  runs: readonly JobRun[],
  job: Job,
  arrangement: Arrangement,
  base: Arrangement,
): readonly number[] {
  const ofJob = runs.filter((run) => run.job === job);
  const baseMs = new Map(
    ofJob.filter((run) => run.arrangement === base).map((run) => [run.round, run.ms]),
  );
  return ofJob
    .filter((run) => run.arrangement === arrangement)
    .toSorted((a, b) => a.round - b.round)
    .flatMap((run) => {
      const divisor = baseMs.get(run.round) ?? 0;
      return divisor > 0 ? [run.ms / divisor] : [];
    });
}

/**
 * Why a ratio cannot be held against a goal, or `undefined` when it can. Both must be true: the
 * runs that the ratio comes from are noisy (`noisySpread`), and some rounds are on either side of
 * the goal. Noise that leaves every round on one side does not hide the verdict.
 */
export function tooNoisy(
  ratios: readonly number[],
  goal: number,
  ownRuns: readonly (readonly number[])[],
): string | undefined {
  const ratio = summarize(ratios);
  if (ratio === undefined || ratio.least >= goal || ratio.greatest <= goal) return undefined;
  const spread = Math.max(0, ...ownRuns.map((values) => summarize(values)?.spread ?? 0));
  if (spread <= noisySpread) return undefined;
  return (
    `too noisy to tell: runs of the same thing differ by ${Math.round(spread * 100)} %, and rounds ` +
    `lie between ${ratio.least.toFixed(2)} and ${ratio.greatest.toFixed(2)}`
  );
}

function distributionOf(values: readonly number[]): Distribution {
  // No bound below the number of values: a report is exact.
  const all = new Distribution(Math.max(1, values.length));
  for (const value of values) all.add(value);
  return all;
}
