/** Bars for medians with a dot for each sample, in groups; and ranges between two values. */
import { bottomAxis, type Frame, type Reference, uprightReference } from './chart-parts.ts';
import { median } from './stats.ts';
import {
  type ChartOptions,
  chart,
  chartWidth,
  dot,
  element,
  label,
  line,
  linearScale,
  logScale,
  type Scale,
} from './svg.ts';

interface Bar {
  readonly name: string;
  readonly colour: string;
  readonly samples: readonly number[];
}

export interface BarGroup {
  readonly name: string;
  readonly bars: readonly Bar[];
}

type Described = Omit<ChartOptions, 'height'>;

export interface BarsOptions extends Described {
  readonly axis: string;
  readonly text: (value: number) => string;
  readonly reference?: Reference;
  /** Room for the names of the groups. */
  readonly left: number;
  /** Behind the bar, such as a word of warning. */
  readonly remark?: (bar: Bar) => string;
}

const barHeight = 15;
const groupGap = 15;

/** Horizontal bars from 0. */
export function barChart(groups: readonly BarGroup[], options: BarsOptions): string {
  const { axis, text, reference, left, remark } = options;
  const height = groups.reduce((sum, { bars }) => sum + bars.length * barHeight + groupGap, 0);
  const frame: Frame = { left, right: chartWidth - 58, top: 26, bottom: 26 + height };
  const greatest = Math.max(reference?.value ?? 0, ...groups.flatMap(allSamples));
  const scale = linearScale(greatest, frame.left, frame.right, 4);
  let y = frame.top + groupGap / 2;
  const drawn = groups.map(({ name, bars }) => {
    const middle = y + (bars.length * barHeight) / 2;
    const parts = [label(left - 10, middle + 5, name, { class: 'name', 'text-anchor': 'end' })];
    for (const bar of bars) {
      parts.push(oneBar(bar, y, scale, left, text, remark?.(bar)));
      y += barHeight;
    }
    y += groupGap;
    return parts.join('');
  });
  return chart(
    { ...options, height: frame.bottom + 44 },
    bottomAxis(scale, frame, shortNumber, axis),
    ...drawn,
    reference === undefined ? '' : uprightReference(reference, scale, frame),
  );
}

function oneBar(
  bar: Bar,
  y: number,
  scale: Scale,
  left: number,
  text: (value: number) => string,
  remark = '',
): string {
  const middle = median(bar.samples);
  const center = y + barHeight / 2;
  const end = scale(Math.max(middle, ...bar.samples));
  return [
    element('rect', {
      x: left,
      y: y + 1.5,
      width: Math.max(1, scale(middle) - left),
      height: barHeight - 3,
      rx: 2,
      class: `bar ${bar.colour}`,
    }),
    // A single sample is the bar.
    ...(bar.samples.length === 1 ? [] : bar.samples).map((value) =>
      dot(scale(value), center, 'sample', `${bar.name}: ${text(value)}`, 2.2),
    ),
    label(end + 7, center + 4.5, `${text(middle)}${remark}`, { class: 'value' }),
  ].join('');
}

interface RangePoint {
  /** Such as `p50`. */
  readonly name: string;
  readonly value: number;
}

export interface RangeRow {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly RangePoint[];
}

export interface RangesOptions extends Described {
  readonly axis: string;
  readonly text: (value: number) => string;
  /** @default 'linear' */
  readonly scale?: 'linear' | 'log';
  readonly references?: readonly Reference[];
  readonly left: number;
}

const rowHeight = 30;

/** A row for each thing, a dot for each of its values, joined: the first is hollow. */
export function rangeChart(rows: readonly RangeRow[], options: RangesOptions): string {
  const { axis, text, references = [], left } = options;
  const top = references.length > 0 ? 26 : 10;
  const bottom = top + rows.length * rowHeight;
  const frame: Frame = { left, right: chartWidth - 62, top, bottom };
  const values = rows.flatMap(({ points }) => points.map(({ value }) => value));
  const all = [...values, ...references.map(({ value }) => value)];
  const positive = all.some((value) => value > 0) ? all.filter((value) => value > 0) : [1];
  const scale =
    options.scale === 'log'
      ? logScale(Math.min(...positive), Math.max(...positive), left, frame.right)
      : linearScale(Math.max(0, ...all), left, frame.right, 4);
  return chart(
    { ...options, height: bottom + 44 },
    bottomAxis(scale, frame, text, axis),
    ...references.map((reference) => uprightReference(reference, scale, frame)),
    ...rows.map((row, index) => oneRange(row, top + (index + 0.5) * rowHeight, scale, options)),
  );
}

function oneRange(
  { name, colour, points }: RangeRow,
  y: number,
  scale: Scale,
  { text, left }: RangesOptions,
): string {
  const places = points.map(({ value }) => scale(value));
  const end = points.at(-1);
  return [
    label(left - 10, y + 5, name, { class: 'name', 'text-anchor': 'end' }),
    line(Math.min(...places), y, Math.max(...places), y, `range ${colour}`),
    ...points.map((point, index) =>
      dot(
        scale(point.value),
        y,
        `${index === 0 && points.length > 1 ? 'hollow' : 'solid'} ${colour}`,
        `${name}, ${point.name}: ${text(point.value)}`,
        5.5,
      ),
    ),
    end === undefined
      ? ''
      : label(Math.max(...places) + 10, y + 4.5, text(end.value), { class: 'value' }),
  ].join('');
}

const allSamples = ({ bars }: BarGroup): readonly number[] =>
  bars.flatMap(({ samples }) => samples);

const shortNumber = (value: number): string => String(Number(value.toPrecision(3)));
