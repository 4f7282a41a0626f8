/** The page's section on whether a backup keeps up: speed of replay, and lag. */
import { formatCount, formatMs } from '../../text/units.ts';
import { type BenchResults, jobs } from '../results.ts';
import { type BarGroup, barChart, rangeChart } from './chart-bars.ts';
import { legend } from './chart-parts.ts';
import { formatRatio } from './format.ts';
import { lagGoalMs } from './goals.ts';
import { cards, figuresBelow, named, numeric, type Section } from './html-parts.ts';
import { jobNames } from './names.ts';
import { groupText } from './page-slowdown.ts';
import {
  namesWidth,
  percentileRow,
  percentileSentence,
  percentileText,
  shortMs,
} from './percentiles.ts';
import { median, summarize } from './stats.ts';

const slower = ' ▼ slower';

export function replaySection({ replays, lags }: BenchResults): Section {
  return {
    id: 'replay',
    title: 'Whether a backup can keep up',
    why:
      'Speed of replay against record of the same log, each alone. At 1 and above the backup ' +
      'keeps up by itself; below 1 it cannot, and the primary has to be slowed down.',
    body: cards(
      { title: 'Replay speed, record = 1', body: replayChart(replays) },
      {
        title: 'Lag of the backup in a pair',
        why: `Each job's worst round. ${percentileText}`,
        body: lagChart(worstRounds(lags)),
      },
    ),
  };
}

function replayChart(runs: BenchResults['replays']): string {
  const groups: BarGroup[] = (['boot', ...jobs] as const).flatMap((during) => {
    const samples = runs
      .filter((run) => run.during === during && run.replayMs > 0)
      .map(({ recordMs, replayMs }) => recordMs / replayMs);
    if (samples.length === 0) return [];
    const colour = (summarize(samples)?.median ?? 0) < 1 ? 'c2' : 'c1';
    return [{ name: jobNames[during], bars: [{ name: jobNames[during], colour, samples }] }];
  });
  if (groups.length === 0) return '';
  const slow = groups.flatMap(({ bars }) => bars).filter(({ colour }) => colour === 'c2');
  return (
    legend([
      { name: 'keeps up', colour: 'c1' },
      { name: 'cannot keep up', colour: 'c2' },
    ]) +
    barChart(groups, {
      id: 'replay-chart',
      title: 'Speed of replay against record',
      description:
        `${groups.map(groupText).join('; ')}. ` +
        `Below 1: ${slow.map(({ name }) => name).join(', ') || 'none'}.`,
      axis: 'time to record / time to replay',
      text: formatRatio,
      reference: { value: 1, name: 'as fast as record' },
      left: namesWidth,
      remark: ({ colour }) => (colour === 'c2' ? slower : ''),
    }) +
    figuresBelow(
      [
        named('log of'),
        numeric('record'),
        numeric('replay'),
        numeric('speed'),
        numeric('least'),
        numeric('greatest'),
      ],
      groups.map(({ name, bars }) => {
        const of = runs.filter(({ during }) => jobNames[during] === name);
        const {
          median: middle = 0,
          least = 0,
          greatest = 0,
        } = summarize(bars[0]?.samples ?? []) ?? {};
        return [
          name,
          formatMs(median(of.map(({ recordMs }) => recordMs))),
          formatMs(median(of.map(({ replayMs }) => replayMs))),
          formatRatio(middle),
          formatRatio(least),
          formatRatio(greatest),
        ];
      }),
    )
  );
}

/**
 * Of each job the round whose 99 % was the largest: a promise of a percentile holds in every round.
 */
function worstRounds(lags: BenchResults['lags']): BenchResults['lags'] {
  const worst = new Map<string, BenchResults['lags'][number]>();
  for (const lag of lags) {
    const before = worst.get(lag.during);
    if (before === undefined || before.p99Ms < lag.p99Ms) worst.set(lag.during, lag);
  }
  return [...worst.values()];
}

function lagChart(lags: BenchResults['lags']): string {
  if (lags.length === 0) return '';
  return (
    rangeChart(
      lags.map(({ during, p50Ms, p99Ms }) =>
        percentileRow(jobNames[during], during === 'idle' ? 'c3' : 'c1', p50Ms, p99Ms),
      ),
      {
        id: 'lag-chart',
        title: 'Lag of the backup, median and 99 %',
        description: lags
          .map(({ during, p50Ms, p99Ms }) => percentileSentence(jobNames[during], p50Ms, p99Ms))
          .join('; '),
        axis: 'ms',
        text: shortMs,
        references: [{ value: lagGoalMs, name: `goal for 99 % under HTTP: ${lagGoalMs} ms` }],
        left: namesWidth,
      },
    ) +
    figuresBelow(
      [named('load'), numeric('median'), numeric('99 %'), numeric('samples')],
      lags.map(({ during, p50Ms, p99Ms, samples }) => [
        jobNames[during],
        formatMs(p50Ms),
        formatMs(p99Ms),
        formatCount(samples),
      ]),
    )
  );
}
