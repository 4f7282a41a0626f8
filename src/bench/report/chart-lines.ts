/** Values over a quantity: slowdown over epoch length, takeover over lag and over memory. */
import {
  axisName,
  type Frame,
  leftAxis,
  levelReference,
  type Reference,
  spreadApart,
} from './chart-parts.ts';
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
  type Scale,
} from './svg.ts';

export interface Series {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

interface Tick {
  readonly x: number;
  readonly text: string;
  /** A second line below. */
  readonly below?: string;
}

export interface LinesOptions extends Omit<ChartOptions, 'height'> {
  readonly xName: string;
  readonly yName: string;
  readonly yText: (value: number) => string;
  readonly ticks: readonly Tick[];
  /** Where an x lies, 0 to 1. */
  readonly place: (x: number) => number;
  /** Medians joined, with the name of the series at the end. @default true */
  readonly joined?: boolean;
  readonly references?: readonly Reference[];
}

const nameHeight = 16;
const tickWidth = 42;

export function lineChart(series: readonly Series[], options: LinesOptions): string {
  const { ticks, joined = true, references = [] } = options;
  const twoLines = ticks.some(({ below }) => below !== undefined);
  const frame: Frame = { left: 56, right: chartWidth - (joined ? 108 : 18), top: 38, bottom: 280 };
  const values = series.flatMap(({ points }) => points.map(({ y }) => y));
  const greatest = Math.max(...values, ...references.map(({ value }) => value));
  const y = linearScale(greatest, frame.bottom, frame.top);
  const x = (value: number): number =>
    frame.left + 10 + options.place(value) * (frame.right - frame.left - 20);
  const below = frame.bottom + (twoLines ? 50 : 36);
  return chart(
    { ...options, height: below + 10 },
    leftAxis(y, frame, options.yText, options.yName),
    ...legible(ticks, x).map((tick) => oneTick(tick, x(tick.x), frame)),
    axisName((frame.left + frame.right) / 2, below, options.xName),
    ...references.map((reference) => levelReference(reference, y, frame)),
    ...series.map((one) => oneSeries(one, x, y, options)),
    joined ? seriesNames(series, x, y, frame) : '',
  );
}

/** Without those whose texts would lie on each other. */
function legible(ticks: readonly Tick[], x: (value: number) => number): readonly Tick[] {
  let end = Number.NEGATIVE_INFINITY;
  return ticks.filter((tick) => {
    const place = x(tick.x);
    if (place - end < tickWidth) return false;
    end = place;
    return true;
  });
}

function oneTick({ text, below }: Tick, x: number, { bottom }: Frame): string {
  const centered = { class: 'tick', 'text-anchor': 'middle' };
  return [
    line(x, bottom, x, bottom + 4, 'grid'),
    label(x, bottom + 17, text, centered),
    below === undefined ? '' : label(x, bottom + 32, below, { ...centered, class: 'tick faint' }),
  ].join('');
}

function oneSeries(
  { name, colour, points }: Series,
  x: (value: number) => number,
  y: Scale,
  { joined = true, yText }: LinesOptions,
): string {
  const dots = points.map((point) =>
    dot(x(point.x), y(point.y), `raw ${colour}`, `${name}: ${yText(point.y)}`, joined ? 2.5 : 4),
  );
  if (!joined) return dots.join('');
  const path = medians(points).map((point) => `${Math.round(x(point.x))},${y(point.y)}`);
  return (
    dots.join('') +
    element('polyline', { points: path.join(' '), class: `joined ${colour}` }) +
    medians(points)
      .map((point) => dot(x(point.x), y(point.y), `solid ${colour}`, `${name}: median`, 4))
      .join('')
  );
}

function seriesNames(
  series: readonly Series[],
  x: (value: number) => number,
  y: Scale,
  frame: Frame,
): string {
  const ends = series.flatMap((one) => {
    const end = medians(one.points).at(-1);
    return end === undefined ? [] : [{ ...one, x: x(end.x), y: y(end.y) }];
  });
  const places = spreadApart(
    ends.map((end) => end.y),
    nameHeight,
    frame.top,
    frame.bottom,
  );
  return ends
    .map(({ name, colour }, index) =>
      label(frame.right + 2, (places[index] ?? 0) + 4.5, name, { class: `series ${colour}` }),
    )
    .join('');
}

function medians(points: Series['points']): Series['points'] {
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  return xs.map((x) => ({
    x,
    y: median(points.filter((point) => point.x === x).map((point) => point.y)),
  }));
}
