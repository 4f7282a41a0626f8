/** Every takeover as a column of its steps, from the fastest to the slowest. */
import { type Frame, leftAxis, levelReference, type Reference } from './chart-parts.ts';
import {
  type ChartOptions,
  chart,
  chartWidth,
  element,
  escapeText,
  label,
  linearScale,
} from './svg.ts';

export interface Column {
  /** What is told when one points at it. */
  readonly about: string;
  /** From the bottom up. */
  readonly parts: readonly { readonly colour: string; readonly value: number }[];
}

export interface StackOptions extends Omit<ChartOptions, 'height'> {
  readonly yName: string;
  readonly references: readonly Reference[];
}

export function stackChart(columns: readonly Column[], options: StackOptions): string {
  const { references, yName } = options;
  const frame: Frame = { left: 46, right: chartWidth - 6, top: 38, bottom: 280 };
  const sorted = columns.toSorted((a, b) => totalOf(a) - totalOf(b));
  const greatest = Math.max(...sorted.map(totalOf), ...references.map(({ value }) => value));
  const y = linearScale(greatest, frame.bottom, frame.top);
  const step = Math.min(48, (frame.right - frame.left) / Math.max(1, sorted.length));
  const gap = step > 6 ? 2 : 0;
  const drawn = sorted.map((column, index) => {
    let below = 0;
    const parts = column.parts.map(({ colour, value }) => {
      const top = y(below + value);
      const height = y(below) - top;
      below += value;
      const x = frame.left + index * step;
      return element('rect', { x, y: top, width: step - gap, height, class: `part ${colour}` });
    });
    return element('g', {}, element('title', {}, escapeText(column.about)), ...parts);
  });
  return chart(
    { ...options, height: frame.bottom + 28 },
    leftAxis(y, frame, String, yName),
    ...drawn,
    ...references.map((reference) => levelReference(reference, y, frame)),
    label(frame.left, frame.bottom + 18, 'fastest', { class: 'tick' }),
    label(frame.left + step * sorted.length, frame.bottom + 18, 'slowest', {
      class: 'tick',
      'text-anchor': 'end',
    }),
  );
}

const totalOf = ({ parts }: Column): number => parts.reduce((sum, { value }) => sum + value, 0);
