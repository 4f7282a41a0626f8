/** The page's section on the length of epochs. */

import type { BenchResults } from '../results.ts';
import { lineChart, type Series } from './chart-lines.ts';
import { legend } from './chart-parts.ts';
import { type EpochTable, epochTable, formatInstructions, formatLength } from './epochs.ts';
import { formatRatio } from './format.ts';
import { cards, named, numeric, type Section, table } from './html-parts.ts';
import { jobNames } from './names.ts';
import { median } from './stats.ts';

export function epochSection({ epochRuns }: BenchResults): Section {
  const epochs = epochTable(epochRuns);
  const isEmpty = epochs.lengths.length === 0;
  return {
    id: 'epochs',
    title: 'Slowdown against epoch length',
    why:
      'The picture of Bressoud and Schneider: short epochs cost more messages, long ones make ' +
      'outputs wait. They counted epochs in instructions; those are given below the times.',
    body: cards(
      { title: 'Slowdown of a protected pair', body: isEmpty ? '' : epochChart(epochs) },
      { title: 'Medians', body: isEmpty ? '' : epochFigures(epochs) },
    ),
  };
}

function epochChart({ lengths, instructions, jobs }: EpochTable): string {
  const series: Series[] = jobs.map(({ job, ratios }, index) => ({
    name: jobNames[job],
    colour: `c${(index % 7) + 1}`,
    points: ratios.flatMap((ys, place) => ys.map((y) => ({ x: lengths[place] ?? 0, y }))),
  }));
  const least = Math.log10(Math.min(1, ...lengths));
  const greatest = Math.log10(Math.max(1000, ...lengths));
  return (
    legend(series) +
    lineChart(series, {
      id: 'epoch-chart',
      title: 'Slowdown of a protected pair against the length of its epochs',
      description: jobs
        .map(({ job, ratios }) => `${jobNames[job]}: ${ratios.map(ratioText).join(', ')}`)
        .join('; ')
        .concat(`, at epochs of ${lengths.map(formatLength).join(', ')}`),
      xName: 'epoch in ms, below it the instructions in it',
      yName: 'times the time of plain TCG',
      yText: (value) => String(Number(value.toFixed(2))),
      ticks: lengths.map((x, index) => ({
        x,
        text: String(x),
        below: formatInstructions(instructions[index] ?? 0),
      })),
      place: (x) => (Math.log10(x) - least) / (greatest - least),
      references: [{ value: 1, name: 'plain TCG' }],
    })
  );
}

const epochFigures = ({ lengths, instructions, jobs }: EpochTable): string =>
  table(
    [named('epoch'), numeric('instructions'), ...jobs.map(({ job }) => numeric(jobNames[job]))],
    lengths.map((length, index) => [
      formatLength(length),
      formatInstructions(instructions[index] ?? 0),
      ...jobs.map(({ ratios }) => ratioText(ratios[index] ?? [])),
    ]),
  );

const ratioText = (ratios: readonly number[]): string =>
  ratios.length === 0 ? '–' : formatRatio(median(ratios));
