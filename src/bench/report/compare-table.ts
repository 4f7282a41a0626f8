/** A comparison as a person reads it in a terminal. */
import { type Colour, painter } from '../../text/style.ts';
import { aligned } from '../../text/text-table.ts';
import type { ChangeVerdict, Comparison, FigureChange } from './compare.ts';
import { type FigureUnit, formatPercent, formatUnit } from './format.ts';
import type { TableOptions } from './table.ts';

const verdictColours: Readonly<Record<ChangeVerdict, Colour>> = {
  better: 'green',
  worse: 'red',
  'within noise': 'dim',
  'not comparable': 'dim',
};

/** Worse figures first: they are what one looks for. */
const order: readonly ChangeVerdict[] = ['worse', 'better', 'within noise', 'not comparable'];

export function comparisonTable(comparison: Comparison, options: TableOptions = {}): string {
  const paint = painter(options.coloured ?? false);
  const { warnings, figures } = comparison;
  const sorted = order.flatMap((verdict) => figures.filter((one) => one.verdict === verdict));
  const texts = aligned([
    ['', 'before', 'after', 'change', 'verdict'],
    ...sorted.map((one) => [
      one.name,
      valueText(one.before, one.unit),
      valueText(one.after, one.unit),
      changeText(one),
      one.verdict,
    ]),
  ]);
  const lines = [
    paint('bold', ' Two benchmarks compared'),
    ...warnings.map((warning) => paint('yellow', ` ! ${warning}`)),
    '',
    ...texts.map((text, index) => {
      const verdict = sorted[index - 1]?.verdict;
      return paint(verdict === undefined ? 'dim' : verdictColours[verdict], ` ${text}`);
    }),
    '',
    summaryLine(figures),
  ];
  return `${lines.join('\n')}\n`;
}

function summaryLine(figures: readonly FigureChange[]): string {
  if (figures.length === 0) return ' Neither run measured anything.';
  const counts = order.map(
    (verdict) => `${figures.filter((one) => one.verdict === verdict).length} ${verdict}`,
  );
  return ` ${counts.join(', ')}.`;
}

function changeText({ change }: FigureChange): string {
  if (change === null) return '–';
  return `${change > 0 ? '+' : ''}${formatPercent(change)}`;
}

function valueText(value: number | null, unit: FigureUnit): string {
  return value === null ? '–' : formatUnit(value, unit);
}
