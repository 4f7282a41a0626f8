/** The page's section on cuts, seeds, memory and throughput. */
import { formatMs } from '../../text/units.ts';
import type { BenchResults, CutRun } from '../results.ts';
import { barChart } from './chart-bars.ts';
import { lineChart } from './chart-lines.ts';
import { legend } from './chart-parts.ts';
import { formatByteRate, formatBytes, formatMemory } from './format.ts';
import { cards, figuresBelow, named, numeric, type Section, table } from './html-parts.ts';
import { diskName } from './names.ts';
import { namesWidth } from './percentiles.ts';
import { median, summarize } from './stats.ts';

export function copySection({ cuts, seeds, memory, throughput }: BenchResults): Section {
  return {
    id: 'copies',
    title: 'Cuts, seeds and resources',
    why:
      'A cut stops the guest for a moment and proves that both copies are equal; a seed makes a ' +
      'new backup.',
    body: cards(
      { title: cutTitle(cuts), body: cutChart(cuts) },
      { title: 'Time until a new backup protects', body: seedChart(seeds) },
      { title: 'Memory of a node process, most', body: memoryTable(memory) },
      { title: 'Throughput of the parts, one core', body: throughputTable(throughput) },
    ),
  };
}

function cutTitle(cuts: readonly CutRun[]): string {
  if (cuts.length === 0) return 'Cuts';
  const unequal = cuts.filter(({ equal }) => !equal).length;
  const verdict = unequal === 0 ? 'all equal' : `${unequal} UNEQUAL`;
  return `${cuts.length === 1 ? 'One cut' : `${cuts.length} cuts`}, ${verdict}`;
}

const cutParts = [
  { name: 'pause', of: (cut: CutRun): number => cut.pauseMs },
  { name: 'compare of RAM', of: (cut: CutRun): number => cut.ramMs },
  { name: 'to the verdict', of: (cut: CutRun): number => cut.compareMs },
] as const;

function cutChart(cuts: readonly CutRun[]): string {
  if (cuts.length === 0) return '';
  const groups = cutParts.map(({ name, of }, index) => ({
    name,
    bars: [{ name, colour: `c${index + 1}`, samples: cuts.map(of) }],
  }));
  return (
    barChart(groups, {
      id: 'cut-chart',
      title: 'Times of cuts',
      description: groups
        .map(({ name, bars }) => `${name}: median ${formatMs(median(bars[0]?.samples ?? []))}`)
        .join('; '),
      axis: 'ms, bars are medians, dots are cuts',
      text: formatMs,
      left: namesWidth,
    }) +
    figuresBelow(
      [named('part'), numeric('median'), numeric('99 %'), numeric('most')],
      cutParts.map(({ name, of }) => {
        const { median: middle = 0, p99 = 0, greatest = 0 } = summarize(cuts.map(of)) ?? {};
        return [name, formatMs(middle), formatMs(p99), formatMs(greatest)];
      }),
    )
  );
}

function seedChart(seeds: BenchResults['seeds']): string {
  if (seeds.length === 0) return '';
  const disks = [...new Set(seeds.map(({ diskBytes }) => diskBytes))].sort((a, b) => a - b);
  const sizes = [...new Set(seeds.map(({ memoryBytes }) => memoryBytes))].sort((a, b) => a - b);
  const series = disks.map((diskBytes, index) => ({
    name: diskName(diskBytes),
    colour: `c${(index % 7) + 1}`,
    points: seeds
      .filter((run) => run.diskBytes === diskBytes)
      .map((run) => ({ x: run.memoryBytes, y: run.ms / 1000 })),
  }));
  const least = Math.log2(sizes[0] ?? 1);
  const width = Math.log2(sizes.at(-1) ?? 1) - least;
  return (
    legend(series) +
    lineChart(series, {
      id: 'seed-chart',
      title: 'Time until a new backup protects, by memory of the guest',
      description: seeds
        .map((run) => `${formatMemory(run.memoryBytes)}: ${formatMs(run.ms)}`)
        .join('; '),
      xName: 'memory of the guest',
      yName: 'seconds',
      yText: (value) => String(Number(value.toFixed(2))),
      ticks: sizes.map((x) => ({ x, text: formatMemory(x) })),
      place: (x) => (width === 0 ? 0.5 : (Math.log2(x) - least) / width),
    }) +
    figuresBelow(
      [
        named('memory'),
        numeric('disk'),
        numeric('until protected'),
        numeric('guest stood still'),
        numeric('of it for RAM'),
        numeric('sent'),
      ],
      seeds.map((run) => [
        formatMemory(run.memoryBytes),
        formatMemory(run.diskBytes),
        formatMs(run.ms),
        formatMs(run.stoppedMs),
        formatMs(run.ramMs),
        formatBytes(run.sentBytes),
      ]),
    )
  );
}

function memoryTable(memory: BenchResults['memory']): string {
  if (memory.length === 0) return '';
  return table(
    [named('node'), numeric('resident, without its machines')],
    memory.map(({ role, rssBytes }) => [role, formatBytes(rssBytes)]),
  );
}

function throughputTable(throughput: BenchResults['throughput']): string {
  if (throughput.length === 0) return '';
  return table(
    [named('part'), named('input'), numeric('rate')],
    throughput.map(({ part, input, bytesPerSecond }) => [
      part,
      input,
      formatByteRate(bytesPerSecond),
    ]),
  );
}
