/**
 * The few pieces that charts are drawn from: elements as text, scales, ticks.
 *
 * Colours are classes of the page's style sheet, so that a chart follows light, dark and print.
 * Every text goes through `escapeText`.
 */

/** For the content and the quoted attributes of HTML and SVG. */
export function escapeText(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&#39;')
      // No document may have control characters or halves of a pair, not even by number.
      .replace(/[^\P{Cc}\t\n\r]|\p{Cs}/gu, '\ufffd')
  );
}

export type Attributes = Readonly<Record<string, string | number>>;

/** An element; its children are markup already. */
export function element(name: string, attributes: Attributes, ...children: string[]): string {
  const given = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${attributeText(value)}"`)
    .join('');
  return children.length === 0
    ? `<${name}${given}/>`
    : `<${name}${given}>${children.join('')}</${name}>`;
}

export function label(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escapeText(text));
}

export const line = (x1: number, y1: number, x2: number, y2: number, name: string): string =>
  element('line', { x1, y1, x2, y2, class: name });

/** A raw sample; `about` is told when one points at it. */
export const dot = (x: number, y: number, name: string, about: string, r = 3): string =>
  element('circle', { cx: x, cy: y, r, class: name }, element('title', {}, escapeText(about)));

export interface ChartOptions {
  /** Unique in the page: names the title and the description. */
  readonly id: string;
  readonly title: string;
  /** What the picture says, for those who do not see it. */
  readonly description: string;
  readonly height: number;
}

/** Of all charts: small enough that its text can be read on a phone, two fit side by side. */
export const chartWidth = 520;

export function chart(options: ChartOptions, ...children: string[]): string {
  const { id, title, description, height } = options;
  return element(
    'svg',
    {
      viewBox: `0 0 ${chartWidth} ${round(height)}`,
      role: 'img',
      'aria-labelledby': `${id}-title ${id}-desc`,
    },
    element('title', { id: `${id}-title` }, escapeText(title)),
    element('desc', { id: `${id}-desc` }, escapeText(description)),
    ...children,
  );
}

export interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

/** From 0 to a round number not below `greatest`. */
export function linearScale(greatest: number, from: number, to: number, steps = 5): Scale {
  const step = niceStep((greatest > 0 ? greatest : 1) / steps);
  const count = Math.max(1, Math.ceil((greatest > 0 ? greatest : 1) / step - 1e-9));
  const end = count * step;
  const ticks = Array.from({ length: count + 1 }, (_, index) =>
    Number((index * step).toPrecision(9)),
  );
  return Object.assign((value: number) => round(from + (value / end) * (to - from)), { ticks });
}

/** Whole powers of ten around the values; what is not above 0 is drawn at the lower end. */
export function logScale(least: number, greatest: number, from: number, to: number): Scale {
  const bottom = Math.floor(Math.log10(least > 0 ? least : 1) + 1e-9);
  const top = Math.max(bottom + 1, Math.ceil(Math.log10(greatest > 0 ? greatest : 1) - 1e-9));
  const ticks = Array.from({ length: top - bottom + 1 }, (_, index) => 10 ** (bottom + index));
  const place = (value: number): number => {
    const power = value > 0 ? Math.min(top, Math.max(bottom, Math.log10(value))) : bottom;
    return round(from + ((power - bottom) / (top - bottom)) * (to - from));
  };
  return Object.assign(place, { ticks });
}

/** 1, 2, 2.5 or 5 times a power of ten, not below the given. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 2.5, 5].find((one) => one * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

function attributeText(value: string | number): string {
  return escapeText(typeof value === 'number' ? String(round(value)) : value);
}

/** A tenth of a unit cannot be seen; longer numbers make the page larger. */
const round = (value: number): number => Math.round(value * 10) / 10;
