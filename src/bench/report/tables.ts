/**
 * Every measurement of a run, as tables: the one description that the terminal's report, the page,
 * its charts and comparisons of runs are made from.
 *
 * A cell with a unit keeps its samples: a column says how they are shown, and whether less of them
 * is better. Repeated runs of one thing are samples of one row.
 */
import { formatCount, formatMs } from '../../text/units.ts';
import { arrangements, type BenchResults, jobs, type LogRun, type ReplayRun } from '../results.ts';
import {
  type FigureUnit,
  formatBytes,
  formatInstructions,
  formatLength,
  formatMemory,
  formatPercent,
  formatUnit,
} from './format.ts';
import { arrangementNames, arrangementShort, causeNames, jobNames, logName } from './names.ts';
import { jobTimes, median, noisySpread, slowdowns, summarize } from './stats.ts';
import { takeoverMs, takeoverSteps } from './takeovers.ts';

export interface Column {
  readonly name: string;
  /** Of samples; a column without one has words. */
  readonly unit?: FigureUnit;
  /** @default 'less' */
  readonly better?: 'less' | 'more';
  /** A promise of a percentile holds in every run that told one. @default 'median' */
  readonly shown?: 'median' | 'greatest';
}

/** Samples of its column's unit, or words. */
type Cell = readonly number[] | string;

export interface Row {
  readonly name: string;
  /** By the names of the columns. */
  readonly cells: Readonly<Record<string, Cell>>;
}

export interface ReportTable {
  readonly title: string;
  /** What a row is of, in the name of a figure: `takeover`. */
  readonly of: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** Below the rows. */
  readonly lines?: readonly string[];
}

/** In the order of the reports; one without rows was not measured. */
export const reportTables = (results: BenchResults) => ({
  slowdown: slowdownTable(results),
  epochs: epochTable(results),
  takeovers: takeoverTable(results),
  holds: holdTable(results),
  latencies: latencyTable(results),
  logs: logTable(results),
  replays: replayTable(results),
  lags: lagTable(results),
  cuts: cutTable(results),
  seeds: seedTable(results),
  memory: memoryTable(results),
  throughput: throughputTable(results),
});

export type TableName = keyof ReturnType<typeof reportTables>;

/** Of one column; empty where there are words, or nothing. */
export function samplesOf({ cells }: Row, name: string): readonly number[] {
  const cell = cells[name] ?? '';
  return typeof cell === 'string' ? [] : cell;
}

/** What a cell's samples come to; `undefined` when there are none. */
export const cellValue = ({ name, shown = 'median' }: Column, row: Row): number | undefined =>
  summarize(samplesOf(row, name))?.[shown];

/** As a reader sees it. */
export function cellText(column: Column, row: Row): string {
  const cell = row.cells[column.name];
  if (typeof cell === 'string') return cell;
  const value = cellValue(column, row);
  return value === undefined ? '–' : formatUnit(value, column.unit ?? 'ms');
}

/** A column, and what stands in it for the runs of a row. */
type Described<Run> = readonly [column: Column, of: (runs: readonly Run[]) => Cell];

/** A sample of each run. */
const samples = <Run>(column: Column, of: (run: Run) => number): Described<Run> => [
  column,
  (runs) => runs.map(of),
];
const ms = <Run>(name: string, of: (run: Run) => number): Described<Run> =>
  samples({ name, unit: 'ms' }, of);
const words = <Run>(name: string, of: (runs: readonly Run[]) => string): Described<Run> => [
  { name },
  of,
];
const counted = <Run>(name: string, of: (run: Run) => number): Described<Run> =>
  words(name, (runs) => formatCount(runs.reduce((sum, run) => sum + of(run), 0)));

/** Of a thing whose percentiles were measured inside. */
const percentiles = <Run extends { readonly p50Ms: number; readonly p99Ms: number }>() => [
  ms<Run>('p50', ({ p50Ms }) => p50Ms),
  samples<Run>({ name: 'p99', unit: 'ms', shown: 'greatest' }, ({ p99Ms }) => p99Ms),
];

/** A row for all runs of one name, in the order of the first of each. */
function tableOf<Run>(
  about: Pick<ReportTable, 'title' | 'of'>,
  runs: readonly Run[],
  name: (run: Run) => string,
  columns: readonly Described<Run>[],
): ReportTable {
  const byName = new Map<string, Run[]>();
  for (const run of runs) byName.set(name(run), [...(byName.get(name(run)) ?? []), run]);
  return {
    ...about,
    columns: columns.map(([column]) => column),
    rows: [...byName].map(([one, ofOne]) => ({
      name: one,
      cells: Object.fromEntries(columns.map(([{ name: column }, of]) => [column, of(ofOne)])),
    })),
  };
}

const rangeText = (values: readonly number[]): string => {
  const all = summarize(values);
  return all === undefined ? '' : `${all.least.toFixed(2)}–${all.greatest.toFixed(2)}`;
};

function slowdownTable({ jobRuns }: BenchResults): ReportTable {
  const all = jobs.flatMap((job) =>
    arrangements.map((arrangement) => ({
      name: `${jobNames[job]}, ${arrangementNames[arrangement]}`,
      times: jobTimes(jobRuns, job, arrangement),
      ratios: arrangement === 'bare' ? [] : slowdowns(jobRuns, job, arrangement, 'bare'),
    })),
  );
  const measured = all.filter(({ times }) => times.length > 0);
  const spreadOf = (times: readonly number[]): number => summarize(times)?.spread ?? 0;
  const noisy = measured.filter(({ times }) => spreadOf(times) > noisySpread);
  const names = noisy.map(({ name }) => name).join('; ');
  const about = { title: 'slowdown against plain TCG', of: 'job' };
  const table = tableOf(about, measured, ({ name }) => name, [
    [{ name: 'median', unit: 'ms' }, ([one]) => one?.times ?? []],
    words('spread', ([one]) => formatPercent(spreadOf(one?.times ?? []))),
    [{ name: 'slowdown', unit: 'ratio' }, ([one]) => (one?.ratios.length ? one.ratios : '')],
    words('rounds', ([one]) => rangeText(one?.ratios ?? [])),
  ]);
  const warning = `noisy, rounds differ by more than ${formatPercent(noisySpread)}: ${names}`;
  return { ...table, lines: noisy.length === 0 ? [] : [warning] };
}

function epochTable({ epochRuns }: BenchResults): ReportTable {
  const usable = epochRuns
    .filter(({ bareMs, epochMs }) => bareMs > 0 && epochMs > 0)
    .toSorted((a, b) => a.epochMs - b.epochMs);
  const shown = jobs.filter((job) => usable.some((run) => run.job === job));
  return tableOf(
    { title: 'slowdown of a pair against epoch length', of: 'epoch' },
    usable,
    ({ epochMs }) => formatLength(epochMs),
    [
      words('instructions', (runs) =>
        formatInstructions(median(runs.map(({ epochInstructions }) => epochInstructions))),
      ),
      ...shown.map(
        (job): Described<(typeof usable)[number]> => [
          { name: jobNames[job], unit: 'ratio' },
          (runs) => runs.filter((run) => run.job === job).map(({ ms, bareMs }) => ms / bareMs),
        ],
      ),
    ],
  );
}

const takeoverTable = ({ takeovers }: BenchResults): ReportTable =>
  tableOf(
    { title: 'takeover to the first output, and medians of its steps', of: 'takeover' },
    // Kills first, each by rising memory.
    takeovers.toSorted((a, b) => b.cause.localeCompare(a.cause) || a.memoryBytes - b.memoryBytes),
    ({ cause, memoryBytes }) => `${causeNames[cause]}, ${formatMemory(memoryBytes)}`,
    [
      ms('p50', takeoverMs),
      words('p99', (runs) => formatMs(summarize(runs.map(takeoverMs))?.p99 ?? 0)),
      words('most', (runs) => formatMs(summarize(runs.map(takeoverMs))?.greatest ?? 0)),
      words('number', (runs) => String(runs.length)),
      ...takeoverSteps.map(({ name, of }) => ms(name, of)),
    ],
  );

const holdTable = ({ holds }: BenchResults): ReportTable =>
  tableOf(
    { title: 'hold of outputs', of: 'hold' },
    holds,
    ({ load }) => (load === 'http' ? 'HTTP load' : 'idle guest'),
    [...percentiles(), counted('outputs', ({ outputs }) => outputs)],
  );

const latencyTable = ({ latencies }: BenchResults): ReportTable =>
  tableOf(
    { title: 'latency outside', of: 'latency' },
    latencies.toSorted((a, b) => b.what.localeCompare(a.what)),
    ({ what, arrangement }) =>
      `${what === 'http' ? 'HTTP' : 'ping'}, ${arrangementShort[arrangement]}`,
    [...percentiles(), counted('number', ({ count }) => count)],
  );

const lagTable = ({ lags }: BenchResults): ReportTable =>
  tableOf({ title: 'lag of the backup', of: 'lag' }, lags, ({ during }) => jobNames[during], [
    ...percentiles(),
    counted('samples', (lag) => lag.samples),
  ]);

const logTable = ({ logs }: BenchResults): ReportTable =>
  tableOf(
    { title: 'log, and processors of the nodes', of: 'log' },
    logs.filter(({ seconds }) => seconds > 0),
    logName,
    [
      samples({ name: 'on the wire', unit: 'bytes/s' }, (run) => run.wireBytes / run.seconds),
      samples({ name: 'as written', unit: 'bytes/s' }, (run) => run.rawBytes / run.seconds),
      words('per million instructions', (runs) => {
        const usable = runs.filter(({ instructions }) => instructions > 0);
        const densities = usable.map((run) => run.rawBytes / (run.instructions / 1e6));
        return usable.length === 0 ? '–' : formatBytes(median(densities));
      }),
      ...(['primary', 'backup'] as const).map((role) =>
        samples<LogRun>(
          { name: role, unit: 'share of a core' },
          ({ nodeCpuSeconds, seconds }) => nodeCpuSeconds[role] / seconds,
        ),
      ),
    ],
  );

const speedOf = ({ recordMs, replayMs }: ReplayRun): number => recordMs / replayMs;

const replayTable = ({ replays }: BenchResults): ReportTable =>
  tableOf(
    { title: 'replay speed, record = 1', of: 'replay' },
    (['boot', ...jobs] as const).flatMap((during) =>
      replays.filter((run) => run.during === during && run.replayMs > 0),
    ),
    ({ during }) => jobNames[during],
    [
      ms('record', ({ recordMs }) => recordMs),
      ms('replay', ({ replayMs }) => replayMs),
      samples({ name: 'speed', unit: 'ratio', better: 'more' }, speedOf),
      words('rounds', (runs) => rangeText(runs.map(speedOf))),
      words('', (runs) => (median(runs.map(speedOf)) < 1 ? 'cannot keep up' : '')),
    ],
  );

function cutTable({ cuts }: BenchResults): ReportTable {
  const parts = cuts.flatMap(({ pauseMs, ramMs, compareMs }) => [
    { name: 'pause of the guest', took: pauseMs },
    { name: 'compare of RAM', took: ramMs },
    { name: 'to the verdict', took: compareMs },
  ]);
  const summaryOf = (runs: readonly (typeof parts)[number][]) =>
    summarize(runs.map(({ took }) => took));
  const table = tableOf({ title: 'cuts', of: 'cut' }, parts, ({ name }) => name, [
    ms('median', ({ took }) => took),
    words('p99', (runs) => formatMs(summaryOf(runs)?.p99 ?? 0)),
    words('most', (runs) => formatMs(summaryOf(runs)?.greatest ?? 0)),
  ]);
  const unequal = cuts.filter(({ equal }) => !equal).length;
  const verdict = `${cuts.length} cuts compared, ${unequal} unequal`;
  return { ...table, lines: cuts.length === 0 ? [] : [verdict] };
}

/** Seeds of one disk differ by what its guest wrote since the last one. */
const diskStepBytes = 64 * 2 ** 20;

/** What was on the disk of a seed, so that seeds of one disk have one name. */
export function diskName(bytes: number): string {
  const rounded = Math.round(bytes / diskStepBytes) * diskStepBytes;
  return rounded === 0 ? 'empty disk' : `${formatMemory(rounded)} disk`;
}

const seedTable = ({ seeds }: BenchResults): ReportTable =>
  tableOf(
    { title: 'seeds', of: 'seed' },
    seeds,
    ({ memoryBytes, diskBytes }) => `${formatMemory(memoryBytes)}, ${diskName(diskBytes)}`,
    [
      ms('until protected', (run) => run.ms),
      ms('guest stood still', ({ stoppedMs }) => stoppedMs),
      ms('of it for RAM', ({ ramMs }) => ramMs),
      samples({ name: 'sent', unit: 'bytes' }, ({ sentBytes }) => sentBytes),
    ],
  );

const memoryTable = ({ memory }: BenchResults): ReportTable =>
  tableOf(
    { title: 'memory of a node process, without its machines', of: 'memory' },
    memory,
    ({ role }) => role,
    [samples({ name: 'most', unit: 'bytes', shown: 'greatest' }, ({ rssBytes }) => rssBytes)],
  );

const throughputTable = ({ throughput }: BenchResults): ReportTable =>
  tableOf(
    { title: 'throughput of the parts, one core', of: 'throughput' },
    throughput,
    ({ part, input }) => `${part}, ${input}`,
    [
      samples(
        { name: 'rate', unit: 'bytes/s', better: 'more' },
        ({ bytesPerSecond }) => bytesPerSecond,
      ),
    ],
  );
