/** Pieces of the page that every section is made of. */
import { element, escapeText } from './svg.ts';

const notMeasured = '<p class="none">Not measured in this run.</p>';

export interface Section {
  /** Of the link to it. */
  readonly id: string;
  readonly title: string;
  /** One or two sentences: what is shown and how to read it. */
  readonly why: string;
  /** Markup. */
  readonly body: string;
}

export function sectionMarkup({ id, title, why, body }: Section): string {
  return element(
    'section',
    { id, 'aria-labelledby': `${id}-heading` },
    element('h2', { id: `${id}-heading` }, escapeText(title)),
    why === '' ? '' : element('p', { class: 'why' }, escapeText(why)),
    body,
  );
}

export interface Card {
  readonly title: string;
  readonly why?: string;
  /** Markup; empty when nothing was measured. */
  readonly body: string;
}

function card({ title, why = '', body }: Card): string {
  return element(
    'div',
    { class: 'card' },
    element('h3', {}, escapeText(title)),
    why === '' ? '' : element('p', { class: 'why' }, escapeText(why)),
    body === '' ? notMeasured : body,
  );
}

export const cards = (...all: readonly Card[]): string =>
  element('div', { class: 'cards' }, ...all.map(card));

export interface Column {
  readonly name: string;
  /** @default false */
  readonly isNumber?: boolean;
}

/** Markup that is not escaped again. */
export interface Markup {
  readonly markup: string;
}

export type Cell = string | Markup;

export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const numbers = columns.map(({ isNumber }) => (isNumber === true ? { class: 'number' } : {}));
  const head = columns.map(({ name }, index) =>
    element('th', { scope: 'col', ...numbers[index] }, escapeText(name)),
  );
  const body = rows.map((cells) =>
    element(
      'tr',
      {},
      ...cells.map((cell, index) =>
        index === 0
          ? element('th', { scope: 'row', ...numbers[index] }, cellMarkup(cell))
          : element('td', { ...numbers[index] }, cellMarkup(cell)),
      ),
    ),
  );
  return element(
    'div',
    { class: 'scroll' },
    element(
      'table',
      {},
      element('thead', {}, element('tr', {}, ...head)),
      element('tbody', {}, ...body),
    ),
  );
}

/** What a chart shows, for those who do not see it or want the numbers. */
export const figuresBelow = (
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): string => element('details', {}, element('summary', {}, 'The figures'), table(columns, rows));

export const named = (name: string): Column => ({ name });
export const numeric = (name: string): Column => ({ name, isNumber: true });

const cellMarkup = (cell: Cell): string =>
  typeof cell === 'string' ? escapeText(cell) : cell.markup;
