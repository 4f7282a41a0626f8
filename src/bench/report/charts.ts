/**
 * The kinds of charts, drawn by Observable Plot on a document that exists in memory only.
 *
 * Colours are variables of the page's style sheet, so that a chart follows light, dark and print.
 */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { median } from './stats.ts';

/** What a chart says to those who do not see it. */
export interface About {
  /** Unique in the page. */
  readonly id: string;
  readonly title: string;
}

/** A bound that values are held against, such as a goal. */
export interface Reference {
  readonly value: number;
  readonly name: string;
}

type Text = (value: number) => string;

/** Small enough that its text can be read on a phone; two fit side by side. */
const width = 520;
/** For the names of rows, and for the values behind them. */
const rowMargins = { marginLeft: 126, marginRight: 66, marginTop: 26, marginBottom: 44 };
const sideMargins = { marginLeft: 56, marginRight: 24, marginTop: 38, marginBottom: 50 };

/** Of the n-th of some things. */
export const colourOf = (index: number): string => `var(--c${(index % 7) + 1})`;

function drawn({ id, title }: About, description: string, options: Plot.PlotOptions): string {
  const { document } = parseHTML('<html></html>');
  const axes = { x: { labelArrow: 'none', labelAnchor: 'center', ...options.x } } as const;
  const svg = Plot.plot({ width, color: { type: 'identity' }, ...options, ...axes, document });
  const named = (name: string, content: string) => {
    const child = document.createElementNS('http://www.w3.org/2000/svg', name);
    child.setAttribute('id', `${id}-${name}`);
    child.textContent = content;
    return child;
  };
  svg.querySelector('style')?.remove(); // the page has one
  svg.prepend(named('title', title), named('desc', `${description}.`));
  for (const name of ['class', 'width', 'height', 'font-family', 'font-size']) {
    svg.removeAttribute(name);
  }
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-labelledby', `${id}-title ${id}-desc`);
  return svg.outerHTML.replaceAll(longNumber, '$1');
}

/** A hundredth of a unit cannot be seen. What a reader is told has fewer digits, or a sign. */
const longNumber = /(?<=["(,A-Z])(-?\d+\.\d\d)\d+(?=[",)A-Z])/g;

/** Legible on bars and lines, too. */
const outlined = { fill: 'currentColor', stroke: 'var(--surface)', strokeWidth: 4 } as const;
const nameBehind = { ...outlined, dx: 7, textAnchor: 'start' } as const;
const dashed = { strokeDasharray: '5 3', stroke: 'currentColor' } as const;

/** Upright, named above the frame. */
const uprights = (references: readonly Reference[], first?: string): Plot.Markish[] => [
  Plot.ruleX(references, { x: 'value', ...dashed }),
  Plot.text(references, {
    ...{ ...outlined, x: 'value', text: 'name', frameAnchor: 'top', dy: -12 },
    ...(first === undefined ? {} : { fy: () => first }),
  }),
];

/** Level, named above the left end. */
const levels = (references: readonly Reference[]): Plot.Markish[] => [
  Plot.ruleY(references, { y: 'value', ...dashed }),
  Plot.text(references, {
    ...{ ...nameBehind, y: 'value', text: 'name', frameAnchor: 'left', dx: 4, dy: -8 },
  }),
];

export interface Bar {
  /** Of the bars that stand together. */
  readonly group: string;
  /** Among them; empty for one that stands alone. */
  readonly name: string;
  readonly colour: string;
  readonly samples: readonly number[];
  /** Behind its value, such as a word of warning. */
  readonly remark?: string;
}

export interface BarOptions {
  readonly axis: string;
  readonly text: Text;
  readonly references?: readonly Reference[];
}

/** Horizontal bars from 0 to the median, with a dot for each sample. */
export function barChart(
  about: About,
  bars: readonly Bar[],
  { axis, text, references = [] }: BarOptions,
): string {
  const groups = [...new Set(bars.map(({ group }) => group))];
  const names = [...new Set(bars.map(({ name }) => name))];
  const samples = bars
    .filter((bar) => bar.samples.length > 1) // a single one is the bar
    .flatMap((bar) => bar.samples.map((value) => ({ ...bar, value })));
  const shownOf = (bar: Bar): string => text(median(bar.samples));
  const told = ({ group, name }: Bar): string => (name === '' ? group : `${group}, ${name}`);
  const place = { fy: 'group', y: 'name' };
  return drawn(about, bars.map((bar) => `${told(bar)}: ${shownOf(bar)}`).join('; '), {
    ...rowMargins,
    height: 70 + groups.length * 15 + bars.length * 15,
    fy: { domain: groups, label: null, padding: 0.15 },
    y: { domain: names, axis: null },
    x: { label: axis, grid: true, nice: true, ticks: 4, zero: true, labelAnchor: 'center' },
    marks: [
      Plot.barX(bars, { ...place, x: (bar: Bar) => median(bar.samples), fill: 'colour', inset: 1 }),
      Plot.dot(samples, {
        ...{ ...place, x: 'value', r: 2.2, fill: 'currentColor', stroke: 'var(--surface)' },
        title: (bar: (typeof samples)[number]) => `${told(bar)}: ${text(bar.value)}`,
      }),
      Plot.text(bars, {
        ...{ ...place, ...nameBehind },
        x: (bar: Bar) => bar.samples.reduce((most, one) => Math.max(most, one), 0),
        text: (bar: Bar) => `${shownOf(bar)}${bar.remark ?? ''}`,
      }),
      ...uprights(references, groups[0]),
    ],
  });
}

export interface Range {
  readonly name: string;
  readonly colour: string;
  /** The lower one is drawn hollow. */
  readonly values: readonly [number, number];
}

export interface RangeOptions extends BarOptions {
  /** Names of the two values. */
  readonly values: readonly [string, string];
  /** @default false */
  readonly isLogarithmic?: boolean;
}

/** A row for each thing, its two values joined. */
export function rangeChart(about: About, rows: readonly Range[], options: RangeOptions): string {
  const { axis, text, values: told, isLogarithmic = false, references = [] } = options;
  const all = rows.flatMap(({ values }) => values);
  const [low = 0, high = 1] = powersAround(all);
  const powers = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  // What is not above 0 is drawn at the lower end.
  const at = (value: number): number => (isLogarithmic ? Math.max(value, 10 ** low) : value);
  const scale: Plot.ScaleOptions = isLogarithmic
    ? { type: 'log', domain: [10 ** low, 10 ** high], ticks: powers }
    : { nice: true, zero: true, ticks: 4 };
  const first = ({ values }: Range): number => at(values[0]);
  const second = ({ values }: Range): number => at(values[1]);
  const point = (index: 0 | 1) => (row: Range) =>
    `${row.name}, ${told[index]}: ${text(row.values[index])}`;
  const description = rows.map((row) => `${point(0)(row)}, ${told[1]}: ${text(row.values[1])}`);
  return drawn(about, description.join('; '), {
    ...rowMargins,
    height: 74 + rows.length * 30,
    y: { domain: rows.map(({ name }) => name), label: null, tickSize: 0 },
    x: { label: axis, grid: true, tickFormat: text, ...scale },
    marks: [
      ...uprights(references),
      Plot.link(rows, {
        ...{ y: 'name', x1: first, x2: second, stroke: 'colour' },
        ...{ strokeWidth: 3, strokeOpacity: 0.45 },
      }),
      Plot.dot(rows, {
        ...{ y: 'name', x: second, r: 5.5, fill: 'colour', stroke: 'var(--surface)' },
        title: point(1),
      }),
      Plot.dot(rows, {
        ...{ y: 'name', x: first, r: 4.5, fill: 'var(--surface)', stroke: 'colour' },
        ...{ strokeWidth: 2.4, title: point(0) },
      }),
      Plot.text(rows, {
        ...{ y: 'name', ...nameBehind, dx: 10 },
        x: (row: Range) => Math.max(first(row), second(row)),
        text: (row: Range) => text(row.values[1]),
      }),
    ],
  });
}

/** The exponents of the powers of ten around what is above 0 of the values. */
function powersAround(values: readonly number[]): readonly [low: number, high: number] {
  const exponents = values.filter((value) => value > 0).map(Math.log10);
  const low = Math.floor(Math.min(...exponents, 9) + 1e-9);
  return exponents.length === 0 ? [0, 1] : [low, Math.max(low + 1, ...exponents.map(Math.ceil))];
}

export interface Point {
  readonly series: string;
  readonly colour: string;
  readonly x: number;
  readonly y: number;
}

/** Values over a quantity; medians of the same quantity joined, if not told otherwise. */
export function pointChart(
  about: About,
  points: readonly Point[],
  options: {
    readonly axes: readonly [x: string, y: string];
    readonly text: Text;
    /** Names of the places on the x axis, which is logarithmic then. */
    readonly places?: ReadonlyMap<number, string>;
    readonly references?: readonly Reference[];
  },
): string {
  const { axes, text, places, references = [] } = options;
  const series = [...new Set(points.map((point) => point.series))];
  const sorted = points.toSorted((a, b) => a.x - b.x); // as lines go
  const medians = series.map((name) => {
    const ys = points.filter((point) => point.series === name).map(({ y }) => y);
    return `${name}: median ${text(median(ys))} of ${ys.length}`;
  });
  const channels = { x: 'x', y: 'y', z: 'series' };
  const joined = [
    Plot.line(sorted, Plot.groupX({ y: 'median' }, { ...channels, stroke: 'colour' })),
    Plot.dot(sorted, Plot.groupX({ y: 'median' }, { ...channels, r: 4, fill: 'colour' })),
  ];
  return drawn(about, medians.join('; '), {
    ...sideMargins,
    height: 320,
    x: {
      ...{ label: axes[0], tickSize: 4 },
      ...(places === undefined
        ? { nice: true, zero: true }
        : {
            ...{ type: 'log', ticks: [...places.keys()] },
            tickFormat: (x: number) => places.get(x) ?? '',
          }),
    },
    y: { label: axes[1], grid: true, nice: true, zero: true, ticks: 6 },
    marks: [
      ...levels(references),
      Plot.dot(points, {
        ...{ ...channels, r: places === undefined ? 4 : 2.5, fill: 'colour', fillOpacity: 0.5 },
        title: ({ series: name, y }: Point) => `${name}: ${text(y)}`,
      }),
      ...(places === undefined ? [] : joined),
    ],
  });
}

export interface Column {
  /** What is told when one points at it. */
  readonly about: string;
  /** From the bottom up. */
  readonly parts: readonly { readonly colour: string; readonly value: number }[];
}

/** Columns of parts that are added up, from the smallest to the greatest. */
export function stackChart(
  about: About,
  columns: readonly Column[],
  options: {
    readonly axes: readonly [x: string, y: string];
    readonly description: string;
    readonly references: readonly Reference[];
  },
): string {
  const { axes, description, references } = options;
  const heightOf = ({ parts }: Column): number => parts.reduce((sum, { value }) => sum + value, 0);
  const parts = columns
    .toSorted((a, b) => heightOf(a) - heightOf(b))
    .flatMap((column, place) =>
      column.parts.map((part) => ({ ...part, place, title: column.about })),
    );
  return drawn(about, description, {
    ...sideMargins,
    height: 320,
    x: { ticks: [], label: axes[0] },
    y: { label: axes[1], grid: true, nice: true, ticks: 6 },
    marks: [
      Plot.barY(parts, {
        ...{ x: 'place', y: 'value', fill: 'colour', title: 'title' },
        ...(columns.length > 100 ? { inset: 0 } : { insetLeft: 1, insetRight: 1 }),
      }),
      ...levels(references),
    ],
  });
}
