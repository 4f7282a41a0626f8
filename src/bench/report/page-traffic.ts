/** The page's sections on outputs, log and processors. */
import { formatCount, formatMs } from '../../text/units.ts';
import type { BenchResults, LogRun } from '../results.ts';
import { barChart, rangeChart } from './chart-bars.ts';
import { legend } from './chart-parts.ts';
import { formatByteRate, formatPercent } from './format.ts';
import { holdGoalMs } from './goals.ts';
import { cards, figuresBelow, named, numeric, type Section } from './html-parts.ts';
import { arrangementNames, arrangementShort, logName } from './names.ts';
import {
  namesWidth as left,
  percentileRow,
  percentileSentence,
  percentileText,
  shortMs,
} from './percentiles.ts';

export function outputSection({ holds, latencies }: BenchResults): Section {
  return {
    id: 'outputs',
    title: 'How long outputs wait',
    why:
      'A pair holds an output until the backup has all that led to it. The hold is measured ' +
      `inside, the latency by a client outside. ${percentileText}`,
    body: cards(
      { title: 'Hold at the gate', body: holdChart(holds) },
      { title: 'Latency for a client', body: latencyChart(latencies) },
    ),
  };
}

function holdChart(holds: BenchResults['holds']): string {
  if (holds.length === 0) return '';
  const name = (load: string): string => (load === 'http' ? 'HTTP load' : 'idle guest');
  return (
    rangeChart(
      holds.map(({ load, p50Ms, p99Ms }) => percentileRow(name(load), 'c1', p50Ms, p99Ms)),
      {
        id: 'hold-chart',
        title: 'Hold of outputs at the gate, median and 99 %',
        description: holds
          .map(({ load, p50Ms, p99Ms }) => percentileSentence(name(load), p50Ms, p99Ms))
          .join('; '),
        axis: 'ms',
        text: shortMs,
        references: [{ value: holdGoalMs, name: `goal for 99 %: ${holdGoalMs} ms` }],
        left,
      },
    ) +
    figuresBelow(
      [named('load'), numeric('median'), numeric('99 %'), numeric('outputs')],
      holds.map(({ load, p50Ms, p99Ms, outputs }) => [
        name(load),
        formatMs(p50Ms),
        formatMs(p99Ms),
        formatCount(outputs),
      ]),
    )
  );
}

function latencyChart(latencies: BenchResults['latencies']): string {
  if (latencies.length === 0) return '';
  const sorted = latencies.toSorted((a, b) => b.what.localeCompare(a.what));
  const name = ({ what, arrangement }: (typeof latencies)[number]): string =>
    `${what === 'http' ? 'HTTP' : 'ping'}, ${arrangementShort[arrangement]}`;
  return (
    rangeChart(
      sorted.map((run) =>
        percentileRow(name(run), run.what === 'http' ? 'c2' : 'c1', run.p50Ms, run.p99Ms),
      ),
      {
        id: 'latency-chart',
        title: 'Latency that a client outside sees, median and 99 %',
        description: sorted
          .map((run) => percentileSentence(name(run), run.p50Ms, run.p99Ms))
          .join('; '),
        axis: 'ms, logarithmic',
        text: shortMs,
        scale: 'log',
        left,
      },
    ) +
    figuresBelow(
      [named('what'), named('arrangement'), numeric('median'), numeric('99 %'), numeric('number')],
      sorted.map((run) => [
        run.what === 'http' ? 'HTTP request' : 'ping',
        arrangementNames[run.arrangement],
        formatMs(run.p50Ms),
        formatMs(run.p99Ms),
        formatCount(run.count),
      ]),
    )
  );
}

export function logSection({ logs: runs }: BenchResults): Section {
  const logs = summed(runs.filter(({ seconds }) => seconds > 0));
  return {
    id: 'log',
    title: 'Log and processors',
    why: 'What protection sends from one node to the other, and what it takes of both.',
    body: cards(
      {
        title: 'Log a second',
        why: 'Hollow: packed, on the wire. Filled: as QEMU wrote it.',
        body: logChart(logs),
      },
      {
        title: 'Processors of the nodes',
        why: 'Of the node processes, without their machines.',
        body: cpuChart(logs),
      },
    ),
  };
}

/** All rounds of a job as one long run: a row each. */
export function summed(logs: readonly LogRun[]): LogRun[] {
  const whole = new Map<string, LogRun>();
  for (const run of logs) {
    const name = logName(run);
    const before = whole.get(name);
    whole.set(name, before === undefined ? run : both(before, run));
  }
  return [...whole.values()];
}

const both = (a: LogRun, b: LogRun): LogRun => ({
  ...a,
  seconds: a.seconds + b.seconds,
  rawBytes: a.rawBytes + b.rawBytes,
  wireBytes: a.wireBytes + b.wireBytes,
  instructions: a.instructions + b.instructions,
  nodeCpuSeconds: {
    primary: a.nodeCpuSeconds.primary + b.nodeCpuSeconds.primary,
    backup: a.nodeCpuSeconds.backup + b.nodeCpuSeconds.backup,
  },
});

function logChart(logs: readonly LogRun[]): string {
  if (logs.length === 0) return '';
  const rates = logs.map((run) => ({
    name: logName(run),
    wire: run.wireBytes / run.seconds,
    raw: run.rawBytes / run.seconds,
    run,
  }));
  return (
    rangeChart(
      rates.map(({ name, wire, raw, run }) => ({
        name,
        colour: run.during === 'idle' ? 'c3' : 'c1',
        points: [
          { name: 'on the wire', value: wire },
          { name: 'as written', value: raw },
        ],
      })),
      {
        id: 'log-chart',
        title: 'Log of a pair a second, on the wire and as written',
        description: rates
          .map(
            ({ name, wire, raw }) =>
              `${name}: ${formatByteRate(wire)} on the wire, ${formatByteRate(raw)} as written`,
          )
          .join('; '),
        axis: 'bytes a second, logarithmic',
        text: shortRate,
        scale: 'log',
        left,
      },
    ) +
    figuresBelow(
      [
        named('load'),
        numeric('on the wire'),
        numeric('as written'),
        numeric('bytes per million instructions'),
        numeric('CPU, primary'),
        numeric('CPU, backup'),
      ],
      rates.map(({ name, wire, raw, run }) => [
        name,
        formatByteRate(wire),
        formatByteRate(raw),
        run.instructions > 0 ? (run.rawBytes / (run.instructions / 1e6)).toFixed(0) : '–',
        formatPercent(run.nodeCpuSeconds.primary / run.seconds),
        formatPercent(run.nodeCpuSeconds.backup / run.seconds),
      ]),
    )
  );
}

function cpuChart(logs: readonly LogRun[]): string {
  if (logs.length === 0) return '';
  const groups = logs.map((run) => ({
    name: logName(run),
    bars: (['primary', 'backup'] as const).map((role, index) => ({
      name: role,
      colour: `c${index + 1}`,
      samples: [(100 * run.nodeCpuSeconds[role]) / run.seconds],
    })),
  }));
  return (
    legend([
      { name: 'primary', colour: 'c1' },
      { name: 'backup', colour: 'c2' },
    ]) +
    barChart(groups, {
      id: 'cpu-chart',
      title: 'Processor time of the node processes, share of a core',
      description: groups
        .map(({ name, bars }) => {
          const shares = bars.map(
            (bar) => `${bar.name} ${formatPercent((bar.samples[0] ?? 0) / 100)}`,
          );
          return `${name}: ${shares.join(', ')}`;
        })
        .join('; '),
      axis: '% of a core',
      text: (percent) => formatPercent(percent / 100),
      left,
    })
  );
}

const shortRate = (rate: number): string =>
  rate >= 1e6
    ? `${Number((rate / 1e6).toPrecision(2))} MB`
    : rate >= 1e3
      ? `${Number((rate / 1e3).toPrecision(2))} KB`
      : `${Math.round(rate)} B`;
