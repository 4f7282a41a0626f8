/** This run's figures, in words, for the place beside a published one. */
import { formatMs } from '../../text/units.ts';
import type { BenchResults } from '../results.ts';
import { formatByteRate, formatRatio } from './format.ts';
import type { PublishedTopic } from './published.ts';
import { median, slowdowns, summarize } from './stats.ts';
import { takeoverTimes } from './takeovers.ts';

/** `undefined` when the run has nothing to say about it. */
export function oursFor(results: BenchResults, topic: PublishedTopic): string | undefined {
  switch (topic) {
    case 'slowdown': {
      const ratios = slowdowns(results.jobRuns, 'cpu', 'pair', 'bare');
      if (ratios.length === 0) return undefined;
      return `${formatRatio(median(ratios))} of plain TCG, CPU-bound`;
    }
    case 'log': {
      const runs = results.logs.filter(({ during, seconds }) => during === 'http' && seconds > 0);
      if (runs.length === 0) return undefined;
      return `${formatByteRate(median(runs.map((run) => run.wireBytes / run.seconds)))} under HTTP`;
    }
    case 'lag':
      return percentiles(results.lags.find(({ during }) => during === 'http'));
    case 'hold':
      return percentiles(results.holds.find(({ load }) => load === 'http'));
    case 'takeover': {
      const { takeovers, guestMemoryBytes } = results;
      const times = summarize(takeoverTimes(takeovers, 'kill', guestMemoryBytes));
      if (times === undefined) return undefined;
      return `p50 ${formatMs(times.median)}, p99 ${formatMs(times.p99)}`;
    }
  }
}

const percentiles = (
  run: { readonly p50Ms: number; readonly p99Ms: number } | undefined,
): string | undefined =>
  run === undefined
    ? undefined
    : `p50 ${formatMs(run.p50Ms)}, p99 ${formatMs(run.p99Ms)} under HTTP`;
