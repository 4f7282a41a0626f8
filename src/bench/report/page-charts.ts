/** The charts of the page: what each draws of a run. */
import { formatMs } from '../../text/units.ts';
import { type Arrangement, arrangements, type BenchResults, jobs } from '../results.ts';
import {
  type About,
  type BarOptions,
  barChart,
  colourOf,
  type Point,
  pointChart,
  type RangeOptions,
  type Reference,
  rangeChart,
  stackChart,
} from './charts.ts';
import { formatInstructions, formatMemory, formatRatio } from './format.ts';
import { takeoverGoal } from './goals.ts';
import { element, escapeText } from './markup.ts';
import { arrangementNames, causeNames, jobNames } from './names.ts';
import { median, slowdowns } from './stats.ts';
import { cellValue, diskName, type ReportTable, type Row, samplesOf } from './tables.ts';
import { takeoverMs, takeoverSteps } from './takeovers.ts';

/** Of a table that has rows, and the run that it is of. Returns markup; empty: nothing to draw. */
export type Chart = (about: About, table: ReportTable, results: BenchResults) => string;

const plainTcg: Reference = { value: 1, name: 'plain TCG' };

export const shortMs = (ms: number): string =>
  String(ms >= 100 ? Math.round(ms) : Number(ms.toPrecision(2)));

/** Above a chart, as text of the page: it wraps on a narrow screen. */
function legend(entries: readonly { readonly series: string; readonly colour: string }[]): string {
  const colours = new Map(entries.map(({ series, colour }) => [series, colour]));
  const items = [...colours].map(([name, colour]) => {
    const swatch = element('span', { class: 'swatch', style: `background: ${colour}` });
    return element('li', {}, swatch, escapeText(name));
  });
  return element('ul', { class: 'legend' }, ...items);
}

export interface TableBars extends BarOptions {
  /** Bars of a row. */
  readonly columns: readonly string[];
  readonly colour: (row: Row, index: number, column: number) => string;
  readonly remark?: (row: Row) => string;
  /** What the colours mean, if not what the row is. */
  readonly legend?: readonly { readonly series: string; readonly colour: string }[];
}

/** Bars for the samples in columns of a table. */
export const bars =
  ({ columns, colour, remark = () => '', legend: entries = [], ...options }: TableBars): Chart =>
  (about, { rows }) =>
    (entries.length === 0 ? '' : legend(entries)) +
    barChart(
      about,
      rows.flatMap((row, index) =>
        columns.map((name, column) => ({
          group: row.name,
          name: columns.length === 1 ? '' : name,
          colour: colour(row, index, column),
          samples: samplesOf(row, name),
          remark: remark(row),
        })),
      ),
      options,
    );

/** Ranges between what two columns of a table show. */
export const ranges =
  ({
    colour = () => colourOf(0),
    ...options
  }: RangeOptions & { readonly colour?: (row: Row) => string }): Chart =>
  (about, { columns, rows }) => {
    const valueAt = (row: Row, name: string): number => {
      const column = columns.find((one) => one.name === name);
      return (column && cellValue(column, row)) ?? 0;
    };
    const [from, to] = options.values;
    return rangeChart(
      about,
      rows.map((row) => ({
        ...{ name: row.name, colour: colour(row) },
        values: [valueAt(row, from), valueAt(row, to)],
      })),
      options,
    );
  };

const arrangementColours: Readonly<Record<Arrangement, string>> = {
  bare: colourOf(6),
  icount: colourOf(3),
  record: colourOf(2),
  pair: colourOf(0),
  kvm: colourOf(4),
};

export const slowdownChart: Chart = (about, _, { jobRuns }) => {
  const drawn = jobs.flatMap((job) =>
    arrangements.flatMap((arrangement) => {
      const samples = slowdowns(jobRuns, job, arrangement, 'bare');
      if (arrangement === 'bare' || samples.length === 0) return [];
      const name = arrangementNames[arrangement];
      const colour = arrangementColours[arrangement];
      return [{ group: jobNames[job], name, series: name, colour, samples }];
    }),
  );
  const axis = 'times the time of plain TCG';
  const options = { axis, text: formatRatio, references: [plainTcg] };
  return legend(drawn) + barChart(about, drawn, options);
};

export const epochChart: Chart = (about, _, { epochRuns }) => {
  const usable = epochRuns.filter(({ bareMs, epochMs }) => bareMs > 0 && epochMs > 0);
  const shown = jobs.filter((job) => usable.some((run) => run.job === job));
  const points = usable.map(({ job, epochMs, ms, bareMs }): Point => {
    const colour = colourOf(shown.indexOf(job));
    return { series: jobNames[job], colour, x: epochMs, y: ms / bareMs };
  });
  const lengths = [...new Set(usable.map(({ epochMs }) => epochMs))].sort((a, b) => a - b);
  const places = lengths.map((length) => {
    const runs = usable.filter(({ epochMs }) => epochMs === length);
    const instructions = median(runs.map(({ epochInstructions }) => epochInstructions));
    return [length, `${length}\n${formatInstructions(instructions)}`] as const;
  });
  return (
    legend(points) +
    pointChart(about, points, {
      axes: ['epoch in ms, below it the instructions in it', 'times the time of plain TCG'],
      text: formatRatio,
      places: new Map(places),
      references: [plainTcg],
    })
  );
};

export const stepChart: Chart = (about, _, { takeovers, guestMemoryBytes }) => {
  const kills = takeovers.filter(
    (run) => run.cause === 'kill' && run.memoryBytes === guestMemoryBytes,
  );
  if (kills.length === 0) return '';
  const most = kills.reduce((ms, run) => Math.max(ms, takeoverMs(run)), 0);
  const { medianMs, p99Ms } = takeoverGoal;
  const medians = takeoverSteps.map(({ name, of }) => `${name} ${formatMs(median(kills.map(of)))}`);
  const columns = kills.map((run) => {
    const steps = takeoverSteps.map(({ name, of }) => `${name} ${formatMs(of(run))}`);
    return {
      about: `${formatMs(takeoverMs(run))}: ${steps.join(', ')}`,
      parts: takeoverSteps.map(({ of }, index) => ({ colour: colourOf(index), value: of(run) })),
    };
  });
  return (
    legend(takeoverSteps.map(({ name }, index) => ({ series: name, colour: colourOf(index) }))) +
    stackChart(about, columns, {
      axes: ['takeovers, from the fastest to the slowest', 'ms'],
      description: `${kills.length} takeovers; medians: ${medians.join(', ')}`,
      references: [
        { value: medianMs, name: `goal for the median: ${medianMs} ms` },
        // Far above all columns it would only press them flat.
        ...(most > p99Ms * 0.6 ? [{ value: p99Ms, name: `goal for 99 %: ${p99Ms} ms` }] : []),
      ],
    })
  );
};

export const takeoverLagChart: Chart = (about, _, { takeovers }) => {
  const kills = takeovers
    .filter(({ cause }) => cause === 'kill')
    .toSorted((a, b) => a.memoryBytes - b.memoryBytes);
  const sizes = [...new Set(kills.map(({ memoryBytes }) => memoryBytes))];
  const points = kills.map((run): Point => {
    const colour = colourOf(sizes.indexOf(run.memoryBytes));
    return { series: formatMemory(run.memoryBytes), colour, x: run.lagMs, y: takeoverMs(run) };
  });
  if (points.length === 0) return '';
  return (
    legend(points) +
    pointChart(about, points, {
      axes: ['lag before the kill, ms', 'takeover, ms'],
      text: formatMs,
    })
  );
};

/** Over the memory of the guest, which doubles from tick to tick. */
function memoryChart(
  about: About,
  yName: string,
  points: readonly Point[],
  text: (y: number) => string,
): string {
  const sizes = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  return (
    legend(points) +
    pointChart(about, points, {
      axes: ['memory of the guest; lines join the medians', yName],
      text,
      places: new Map(sizes.map((size) => [size, formatMemory(size)])),
    })
  );
}

export const takeoverMemoryChart: Chart = (about, _, { takeovers }) =>
  memoryChart(
    about,
    'takeover, ms',
    takeovers.map((run) => ({
      series: causeNames[run.cause],
      colour: colourOf(run.cause === 'kill' ? 0 : 2),
      x: run.memoryBytes,
      y: takeoverMs(run),
    })),
    formatMs,
  );

export const seedChart: Chart = (about, _, { seeds }) => {
  const disks = [...new Set(seeds.map(({ diskBytes }) => diskName(diskBytes)))];
  return memoryChart(
    about,
    'seconds',
    seeds.map(({ diskBytes, memoryBytes, ms }) => ({
      series: diskName(diskBytes),
      colour: colourOf(disks.indexOf(diskName(diskBytes))),
      x: memoryBytes,
      y: ms / 1000,
    })),
    (seconds) => formatMs(seconds * 1000),
  );
};
