/** The page's section on slowdown. */
import { formatMs } from '../../text/units.ts';
import { type Arrangement, arrangements, type BenchResults, type Job, jobs } from '../results.ts';
import { type BarGroup, barChart } from './chart-bars.ts';
import { legend } from './chart-parts.ts';
import { formatPercent, formatRatio } from './format.ts';
import {
  type Cell,
  cards,
  figuresBelow,
  named,
  numeric,
  type Section,
  table,
} from './html-parts.ts';
import { arrangementNames, arrangementShort, jobNames } from './names.ts';
import { namesWidth } from './percentiles.ts';
import { jobTimes, slowdowns, summarize } from './stats.ts';
import { element } from './svg.ts';

const arrangementColours: Readonly<Record<Arrangement, string>> = {
  bare: 'c7',
  icount: 'c4',
  record: 'c3',
  pair: 'c1',
  kvm: 'c5',
};

export function slowdownSection({ jobRuns }: BenchResults): Section {
  return {
    id: 'slowdown',
    title: 'What protection costs',
    why:
      'How many times as long a job takes as on plain TCG in the same round: bars are medians, ' +
      'dots are rounds. 1 is plain TCG.',
    body: cards(
      { title: 'Slowdown of each job', body: slowdownChart(jobRuns) },
      { title: 'Medians, least and greatest round', body: ratioTable(jobRuns) },
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
      left: namesWidth,
    })
  );
}

export const groupText = ({ name, bars }: BarGroup): string =>
  `${name}: ${bars.map((bar) => `${bar.name} ${formatRatio(summarize(bar.samples)?.median ?? 0)}`).join(', ')}`;

/** A row for each job: median of the ratios, and the least and greatest of them. */
function ratioTable(runs: BenchResults['jobRuns']): string {
  const shown = arrangements.filter((one) => runs.some(({ arrangement }) => arrangement === one));
  const rows = jobs
    .filter((job) => runs.some((run) => run.job === job))
    .map((job) => [jobNames[job], ...shown.map((one) => ratioCell(runs, job, one))]);
  if (rows.length === 0) return '';
  const columns = shown.map((one) => numeric(arrangementShort[one]));
  return table([named('job'), ...columns], rows) + timesBelow(runs);
}

function ratioCell(runs: BenchResults['jobRuns'], job: Job, arrangement: Arrangement): Cell {
  if (arrangement === 'bare') {
    const times = summarize(jobTimes(runs, job, arrangement));
    return times === undefined ? '–' : formatMs(times.median);
  }
  const ratio = summarize(slowdowns(runs, job, arrangement, 'bare'));
  if (ratio === undefined) return '–';
  const { least, greatest, count } = ratio;
  const range = count === 1 ? 'one round' : `${formatShort(least)}–${formatShort(greatest)}`;
  return { markup: `${formatRatio(ratio.median)}${element('span', { class: 'note' }, range)}` };
}

const formatShort = (ratio: number): string => formatRatio(ratio).replace('×', '');

function timesBelow(runs: BenchResults['jobRuns']): string {
  const rows = jobs.flatMap((job) =>
    arrangements.flatMap((arrangement) => {
      const times = summarize(jobTimes(runs, job, arrangement));
      if (times === undefined) return [];
      const { median, spread, count } = times;
      const cells = [formatMs(median), formatPercent(spread), String(count)];
      return [[jobNames[job], arrangementNames[arrangement], ...cells]];
    }),
  );
  return figuresBelow(
    [named('job'), named('arrangement'), numeric('median'), numeric('spread'), numeric('rounds')],
    rows,
  );
}
