/** Slowdown by the length of epochs, as the reports show it. */
import { type BenchResults, type Job, jobs } from '../results.ts';
import { median } from './stats.ts';

export interface EpochTable {
  /** Milliseconds, rising. */
  readonly lengths: readonly number[];
  /** Instructions in an epoch of each length, medians. */
  readonly instructions: readonly number[];
  readonly jobs: readonly {
    readonly job: Job;
    /** Against plain TCG in the same round; for each length, maybe none. */
    readonly ratios: readonly (readonly number[])[];
  }[];
}

export function epochTable(runs: BenchResults['epochRuns']): EpochTable {
  const usable = runs.filter(({ bareMs, epochMs }) => bareMs > 0 && epochMs > 0);
  const lengths = [...new Set(usable.map(({ epochMs }) => epochMs))].sort((a, b) => a - b);
  const at = (epochMs: number, job?: Job): BenchResults['epochRuns'] =>
    usable.filter((run) => run.epochMs === epochMs && (job === undefined || run.job === job));
  return {
    lengths,
    instructions: lengths.map((length) =>
      median(at(length).map(({ epochInstructions }) => epochInstructions)),
    ),
    jobs: jobs
      .filter((job) => usable.some((run) => run.job === job))
      .map((job) => ({
        job,
        ratios: lengths.map((length) => at(length, job).map(({ ms, bareMs }) => ms / bareMs)),
      })),
  };
}

export const formatLength = (ms: number): string => (ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`);

/** 180000 as `180 k`. */
export function formatInstructions(count: number): string {
  if (count >= 1e9) return `${short(count / 1e9)} G`;
  if (count >= 1e6) return `${short(count / 1e6)} M`;
  return count >= 1e3 ? `${short(count / 1e3)} k` : String(Math.round(count));
}

const short = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(1));
