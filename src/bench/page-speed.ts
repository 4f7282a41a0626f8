/** The page's sections on speed: slowdown, epoch length, replay. */
import { formatMs } from '../demo/units.ts';
import { type BarGroup, barChart } from './chart-bars.ts';
import { lineChart, type Series } from './chart-lines.ts';
import { legend } from './chart-parts.ts';
import { formatPercent, formatRatio } from './format.ts';
import { cards, figuresBelow, named, numeric, type Section } from './html-parts.ts';
import { arrangementNames, jobNames } from './names.ts';
import { type Arrangement, arrangements, type BenchResults, jobs } from './results.ts';
import { jobTimes, slowdowns, summarize } from './stats.ts';

const arrangementColours: Readonly<Record<Arrangement, string>> = {
  bare: 'c7',
  icount: 'c4',
  record: 'c3',
  pair: 'c1',
  kvm: 'c5',
};
const jobColours = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7'];
const below = ' ▼ too slow';

export function slowdownSection({ jobRuns }: BenchResults): Section {
  return {
    id: 'slowdown',
    title: 'What protection costs',
    why:
      'How many times as long a job takes as on plain TCG in the same round: bars are medians, ' +
      'dots are rounds. 1 is plain TCG.',
    body: cards(
      { title: 'Slowdown of each job', body: slowdownChart(jobRuns) },
      { title: 'Times and their spread', body: timesTable(jobRuns) },
    ),
  };
}

function slowdownChart(runs: BenchResults['jobRuns']): string {
  const groups: BarGroup[] = jobs.flatMap((job) => {
    const bars = arrangements.flatMap((arrangement) => {
      const samples = slowdowns(runs, job, arrangement, 'bare');
      if (arrangement === 'bare' || samples.length === 0) return [];
      const colour = arrangementColours[arrangement];
      return [{ name: arrangementNames[arrangement], colour, samples }];
    });
    return bars.length === 0 ? [] : [{ name: jobNames[job], bars }];
  });
  if (groups.length === 0) return '';
  const shown = arrangements.filter((one) =>
    groups.some(({ bars }) => bars.some(({ name }) => name === arrangementNames[one])),
  );
  return (
    legend(shown.map((one) => ({ name: arrangementNames[one], colour: arrangementColours[one] }))) +
    barChart(groups, {
      id: 'slowdown-chart',
      title: 'Slowdown of each job against plain TCG',
      description: groups.map(groupText).join('; '),
      axis: 'times the time of plain TCG',
      text: formatRatio,
      reference: { value: 1, name: 'plain TCG' },
      left: 104,
    })
  );
}

const groupText = ({ name, bars }: BarGroup): string =>
  `${name}: ${bars.map((bar) => `${bar.name} ${formatRatio(summarize(bar.samples)?.median ?? 0)}`).join(', ')}`;

function timesTable(runs: BenchResults['jobRuns']): string {
  const rows = jobs.flatMap((job) =>
    arrangements.flatMap((arrangement) => {
      const times = summarize(jobTimes(runs, job, arrangement));
      if (times === undefined) return [];
      const ratio = summarize(slowdowns(runs, job, arrangement, 'bare'));
      const range =
        ratio === undefined || arrangement === 'bare'
          ? '–'
          : `${formatRatio(ratio.median)} (${ratio.least.toFixed(2)} to ${ratio.greatest.toFixed(2)})`;
      return [
        [
          jobNames[job],
          arrangementNames[arrangement],
          formatMs(times.median),
          formatPercent(times.spread),
          range,
        ],
      ];
    }),
  );
  if (rows.length === 0) return '';
  return figuresTable(rows);
}

const figuresTable = (rows: readonly (readonly string[])[]): string =>
  figuresBelow(
    [
      named('job'),
      named('arrangement'),
      numeric('median'),
      numeric('spread'),
      numeric('against plain TCG'),
    ],
    rows,
  );

export function epochSection({ epochRuns }: BenchResults): Section {
  return {
    id: 'epochs',
    title: 'Slowdown against epoch length',
    why:
      'The picture of Bressoud and Schneider: short epochs cost more messages, long ones make ' +
      'outputs wait. Their epochs were counted in instructions; those are given below the times.',
    body: cards({ title: 'Slowdown of a protected pair', body: epochChart(epochRuns) }),
  };
}

function epochChart(runs: BenchResults['epochRuns']): string {
  const usable = runs.filter(({ bareMs, epochMs }) => bareMs > 0 && epochMs > 0);
  const shown = jobs.filter((job) => usable.some((run) => run.job === job));
  if (shown.length === 0) return '';
  const series: Series[] = shown.map((job, index) => ({
    name: jobNames[job],
    colour: jobColours[index % jobColours.length] ?? 'c1',
    points: usable
      .filter((run) => run.job === job)
      .map(({ epochMs, ms, bareMs }) => ({ x: epochMs, y: ms / bareMs })),
  }));
  const lengths = [...new Set(usable.map(({ epochMs }) => epochMs))].sort((a, b) => a - b);
  const least = Math.log10(Math.min(1, ...lengths));
  const greatest = Math.log10(Math.max(1000, ...lengths));
  const rows = lengths.map((length) => [
    formatLength(length),
    formatInstructions(instructionsOf(usable, length)),
    ...series.map(({ points }) => ratioText(points.filter(({ x }) => x === length))),
  ]);
  return (
    legend(series) +
    lineChart(series, {
      id: 'epoch-chart',
      title: 'Slowdown of a protected pair against the length of its epochs',
      description: `From ${formatLength(lengths[0] ?? 0)} to ${formatLength(lengths.at(-1) ?? 0)}. ${series.map(({ name, points }) => `${name}: ${lengths.map((length) => ratioText(points.filter(({ x }) => x === length))).join(', ')}`).join('; ')}`,
      xName: 'epoch, with instructions in it',
      yName: 'times the time of plain TCG',
      yText: (value) => String(Number(value.toFixed(2))),
      ticks: lengths.map((x) => ({
        x,
        text: formatLength(x),
        below: formatInstructions(instructionsOf(usable, x)),
      })),
      place: (x) => (Math.log10(x) - least) / (greatest - least),
      references: [{ value: 1, name: 'plain TCG' }],
    }) +
    figuresBelow(
      [named('epoch'), numeric('instructions'), ...series.map(({ name }) => numeric(name))],
      rows,
    )
  );
}

const instructionsOf = (runs: BenchResults['epochRuns'], epochMs: number): number =>
  summarize(runs.filter((run) => run.epochMs === epochMs).map((run) => run.epochInstructions))
    ?.median ?? 0;

function ratioText(points: Series['points']): string {
  const ratio = summarize(points.map(({ y }) => y));
  return ratio === undefined ? '–' : formatRatio(ratio.median);
}

const formatLength = (ms: number): string => (ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`);

export function formatInstructions(count: number): string {
  if (count >= 1e9) return `${short(count / 1e9)} G`;
  if (count >= 1e6) return `${short(count / 1e6)} M`;
  return count >= 1e3 ? `${short(count / 1e3)} k` : String(Math.round(count));
}

const short = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(1));

export function replaySection({ replays }: BenchResults): Section {
  return {
    id: 'replay',
    title: 'Whether a backup can keep up',
    why:
      'Speed of replay against record of the same log, each alone. At 1 and above the backup ' +
      'keeps up by itself; below 1 it cannot, and the primary has to be slowed down.',
    body: cards({ title: 'Replay speed, record = 1', body: replayChart(replays) }),
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
      left: 104,
      remark: ({ colour }) => (colour === 'c2' ? below : ''),
    })
  );
}
