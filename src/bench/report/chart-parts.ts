/** What several charts share: axes, reference lines, legends. */
import { chartWidth, element, escapeText, label, line, type Scale } from './svg.ts';

export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A bound that values are held against, such as a goal. */
export interface Reference {
  readonly value: number;
  readonly name: string;
}

/** Vertical grid lines with their values below. */
export function bottomAxis(
  scale: Scale,
  frame: Frame,
  text: (value: number) => string,
  name: string,
): string {
  return [
    ...scale.ticks.map((tick) => {
      const x = scale(tick);
      return (
        line(x, frame.top, x, frame.bottom, 'grid') +
        label(x, frame.bottom + 17, text(tick), { class: 'tick', 'text-anchor': 'middle' })
      );
    }),
    axisName((frame.left + frame.right) / 2, frame.bottom + 36, name),
  ].join('');
}

/** Horizontal grid lines with their values at the left. The axis has its name above. */
export function leftAxis(
  scale: Scale,
  frame: Frame,
  text: (value: number) => string,
  name: string,
): string {
  return [
    ...scale.ticks.map((tick) => {
      const y = scale(tick);
      return (
        line(frame.left, y, frame.right, y, 'grid') +
        label(frame.left - 7, y + 4, text(tick), { class: 'tick', 'text-anchor': 'end' })
      );
    }),
    label(2, frame.top - 15, name, { class: 'axis' }),
  ].join('');
}

export const axisName = (x: number, y: number, name: string): string =>
  label(x, y, name, { class: 'axis', 'text-anchor': 'middle' });

/** Upright, named above the frame. */
export function uprightReference({ value, name }: Reference, scale: Scale, frame: Frame): string {
  const x = scale(value);
  const nearEnd = x > chartWidth - 70;
  return (
    line(x, frame.top - 4, x, frame.bottom, 'reference') +
    label(x, frame.top - 8, name, {
      class: 'reference-name',
      'text-anchor': nearEnd ? 'end' : 'middle',
    })
  );
}

/** Level, named above its left end: curves end at the right, and columns rise to it. */
export function levelReference({ value, name }: Reference, scale: Scale, frame: Frame): string {
  const y = scale(value);
  return (
    line(frame.left, y, frame.right, y, 'reference') +
    label(frame.left + 4, y - 5, name, { class: 'reference-name' })
  );
}

export interface LegendEntry {
  readonly name: string;
  /** Class of the colour, such as `c1`. */
  readonly colour: string;
}

/** Above a chart, as text of the page: it wraps on a narrow screen. */
export function legend(entries: readonly LegendEntry[]): string {
  return element(
    'ul',
    { class: 'legend' },
    ...entries.map(({ name, colour }) =>
      element('li', {}, element('span', { class: `swatch ${colour}` }, ''), escapeText(name)),
    ),
  );
}

/** Moves labels apart that would lie on each other; keeps their order. */
export function spreadApart(
  places: readonly number[],
  gap: number,
  least: number,
  greatest: number,
): readonly number[] {
  const order = places.map((_, index) => index).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  const moved = [...places];
  let free = least;
  for (const index of order) {
    moved[index] = Math.max(moved[index] ?? 0, free);
    free = (moved[index] ?? 0) + gap;
  }
  let end = greatest;
  for (const index of order.reverse()) {
    moved[index] = Math.min(moved[index] ?? 0, end);
    end = (moved[index] ?? 0) - gap;
  }
  return moved;
}
