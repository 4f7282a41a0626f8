/** The page's sections on what was measured: charts, and the tables that they are made from. */
import { formatMs } from '../../text/units.ts';
import type { BenchResults } from '../results.ts';
import { colourOf } from './charts.ts';
import { formatByteRate, formatMemory, formatPercent, formatRatio } from './format.ts';
import { holdGoalMs, lagGoalMs } from './goals.ts';
import { element, escapeText, folded, named, numeric, table } from './markup.ts';
import { causeNames, jobNames } from './names.ts';
import {
  bars,
  type Chart,
  epochChart,
  ranges,
  seedChart,
  shortMs,
  slowdownChart,
  stepChart,
  takeoverLagChart,
  takeoverMemoryChart,
} from './page-charts.ts';
import type { Section } from './page-parts.ts';
import { median } from './stats.ts';
import {
  cellText,
  type ReportTable,
  type Row,
  reportTables,
  samplesOf,
  type TableName,
} from './tables.ts';

interface Card {
  readonly title: string;
  readonly why?: string;
  /** What it is made from; a card whose table has no rows says that it was not measured. */
  readonly from: TableName;
  readonly chart?: Chart;
  /** Where the table stands: by itself, to be unfolded below the chart, or in another card. */
  readonly table: 'open' | 'folded' | 'elsewhere';
}

interface MeasuredSection extends Omit<Section, 'body'> {
  readonly cards: readonly Card[];
}

const isIdle = ({ name }: Row): boolean => name.startsWith(jobNames.idle);
const isKill = ({ name }: Row): boolean => name.startsWith(causeNames.kill);
const isHttp = ({ name }: Row): boolean => name.startsWith(jobNames.http);
const isSlow = (row: Row): boolean => median(samplesOf(row, 'speed')) < 1;

/** Without what an axis says already. */
const shortRate = (rate: number): string =>
  formatByteRate(rate).replace('/s', '').replace('.0 ', ' ');

const takeoverChart = bars({
  ...{ columns: ['p50'], axis: 'ms, bars are medians, dots are takeovers', text: formatMs },
  colour: (row) => colourOf(isKill(row) ? 0 : 2),
});
const holdChart = ranges({
  ...{ values: ['p50', 'p99'], axis: 'ms', text: shortMs },
  references: [{ value: holdGoalMs, name: `goal for 99 %: ${holdGoalMs} ms` }],
});
const latencyChart = ranges({
  ...{ values: ['p50', 'p99'], axis: 'ms, logarithmic', text: shortMs, isLogarithmic: true },
  colour: (row) => colourOf(isHttp(row) ? 1 : 0),
});
const lagChart = ranges({
  ...{ values: ['p50', 'p99'], axis: 'ms', text: shortMs },
  colour: (row) => colourOf(isIdle(row) ? 2 : 0),
  references: [{ value: lagGoalMs, name: `goal for 99 % under HTTP: ${lagGoalMs} ms` }],
});
const logChart = ranges({
  ...{ values: ['on the wire', 'as written'], isLogarithmic: true },
  ...{ axis: 'bytes a second, logarithmic', text: shortRate },
  colour: (row) => colourOf(isIdle(row) ? 2 : 0),
});
const processorChart = bars({
  ...{ columns: ['primary', 'backup'], axis: 'share of a core', text: formatPercent },
  colour: (_row, _index, column) => colourOf(column),
  legend: [
    { series: 'primary', colour: colourOf(0) },
    { series: 'backup', colour: colourOf(1) },
  ],
});
const replayChart = bars({
  ...{ columns: ['speed'], axis: 'time to record / time to replay', text: formatRatio },
  colour: (row) => colourOf(isSlow(row) ? 1 : 0),
  remark: (row) => (isSlow(row) ? ' ▼ slower' : ''),
  references: [{ value: 1, name: 'as fast as record' }],
  legend: [
    { series: 'keeps up', colour: colourOf(0) },
    { series: 'cannot keep up', colour: colourOf(1) },
  ],
});
const cutChart = bars({
  ...{ columns: ['median'], axis: 'ms, bars are medians, dots are cuts', text: formatMs },
  colour: (_, index) => colourOf(index),
});

const percentileText = 'Hollow: median. Filled: 99 %, of the worst round.';

const sections = ({ cuts, guestMemoryBytes }: BenchResults): readonly MeasuredSection[] => [
  {
    id: 'slowdown',
    title: 'What protection costs',
    why:
      'How many times as long a job takes as on plain TCG in the same round: bars are medians, ' +
      'dots are rounds. 1 is plain TCG.',
    cards: [
      { title: 'Slowdown of each job', from: 'slowdown', chart: slowdownChart, table: 'folded' },
    ],
  },
  {
    id: 'epochs',
    title: 'Slowdown against epoch length',
    why:
      'The picture of Bressoud and Schneider: short epochs cost more messages, long ones make ' +
      'outputs wait. They counted epochs in instructions; those are given below the times.',
    cards: [
      {
        title: 'Slowdown of a protected pair',
        ...{ from: 'epochs', chart: epochChart, table: 'elsewhere' },
      },
      { title: 'Medians', from: 'epochs', table: 'open' },
    ],
  },
  {
    id: 'takeover',
    title: 'How long a takeover takes',
    why:
      'From the kill of the primary, or the command of a drill, to the first output that the ' +
      'outside gets from its successor.',
    cards: [
      {
        title: `Every kill of the ${formatMemory(guestMemoryBytes)} guest, by its steps`,
        ...{ from: 'takeovers', chart: stepChart, table: 'elsewhere' },
      },
      {
        title: 'By cause and memory',
        ...{ from: 'takeovers', chart: takeoverChart, table: 'folded' },
      },
      {
        title: 'Against the lag of the backup',
        why: 'What the backup had not executed yet has to be executed first.',
        ...{ from: 'takeovers', chart: takeoverLagChart, table: 'elsewhere' },
      },
      {
        title: 'Against the memory of the guest',
        why: 'It should hardly matter: a guest of 2 GiB may take 20 % longer than the usual one.',
        ...{ from: 'takeovers', chart: takeoverMemoryChart, table: 'elsewhere' },
      },
    ],
  },
  {
    id: 'outputs',
    title: 'How long outputs wait',
    why:
      'A pair holds an output until the backup has all that led to it. The hold is measured ' +
      `inside, the latency by a client outside. ${percentileText}`,
    cards: [
      { title: 'Hold at the gate', from: 'holds', chart: holdChart, table: 'folded' },
      { title: 'Latency for a client', from: 'latencies', chart: latencyChart, table: 'folded' },
    ],
  },
  {
    id: 'log',
    title: 'Log and processors',
    why: 'What protection sends from one node to the other, and what it takes of both.',
    cards: [
      {
        title: 'Log a second',
        why: 'Hollow: packed, on the wire. Filled: as QEMU wrote it. Medians of the rounds.',
        ...{ from: 'logs', chart: logChart, table: 'folded' },
      },
      {
        title: 'Processors of the nodes',
        why: 'Of the node processes, without their machines.',
        ...{ from: 'logs', chart: processorChart, table: 'elsewhere' },
      },
    ],
  },
  {
    id: 'replay',
    title: 'Whether a backup can keep up',
    why:
      'Speed of replay against record of the same log, each alone. At 1 and above the backup ' +
      'keeps up by itself; below 1 it cannot, and the primary has to be slowed down.',
    cards: [
      { title: 'Replay speed, record = 1', from: 'replays', chart: replayChart, table: 'folded' },
      {
        title: 'Lag of the backup in a pair',
        why: percentileText,
        ...{ from: 'lags', chart: lagChart, table: 'folded' },
      },
    ],
  },
  {
    id: 'copies',
    title: 'Cuts, seeds and resources',
    why:
      'A cut stops the guest for a moment and proves that both copies are equal; a seed makes a ' +
      'new backup.',
    cards: [
      { title: cutTitle(cuts), from: 'cuts', chart: cutChart, table: 'folded' },
      {
        title: 'Time until a new backup protects',
        ...{ from: 'seeds', chart: seedChart, table: 'folded' },
      },
      { title: 'Memory of a node process, without its machines', from: 'memory', table: 'open' },
      { title: 'Throughput of the parts, one core', from: 'throughput', table: 'open' },
    ],
  },
];

export function measuredSections(results: BenchResults): readonly Section[] {
  const tables = reportTables(results);
  return sections(results).map(({ cards, ...section }) => ({
    ...section,
    body: element(
      'div',
      { class: 'cards' },
      ...cards.map((card, index) =>
        cardMarkup(`${section.id}-${index + 1}`, card, tables[card.from], results),
      ),
    ),
  }));
}

function cardMarkup(
  id: string,
  { title, why = '', chart, table: place }: Card,
  from: ReportTable,
  results: BenchResults,
): string {
  const drawn =
    from.rows.length === 0 ? '' : (chart?.({ id, title }, from, results) ?? tableMarkup(from));
  return element(
    'div',
    { class: 'card' },
    element('h3', {}, escapeText(title)),
    why === '' ? '' : element('p', { class: 'why' }, escapeText(why)),
    drawn === '' ? '<p class="none">Not measured in this run.</p>' : drawn,
    drawn === '' || place !== 'folded' ? '' : folded('The figures', tableMarkup(from)),
  );
}

const tableMarkup = ({ of, columns, rows }: ReportTable): string =>
  table(
    [named(of), ...columns.map(({ name }) => numeric(name))],
    rows.map((row) => [row.name, ...columns.map((column) => cellText(column, row))]),
  );

function cutTitle(cuts: BenchResults['cuts']): string {
  if (cuts.length === 0) return 'Cuts';
  const unequal = cuts.filter(({ equal }) => !equal).length;
  const verdict = unequal === 0 ? 'all equal' : `${unequal} UNEQUAL`;
  return `${cuts.length === 1 ? 'One cut' : `${cuts.length} cuts`}, ${verdict}`;
}
