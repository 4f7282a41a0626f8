/** HTML as text: elements, tables, folded parts. Every text goes through `escapeText`. */

/** For the content and the quoted attributes of HTML. */
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

/** An element; its children are markup already. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string>>,
  ...children: string[]
): string {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeText(value)}"`);
  return `<${name}${given.join('')}>${children.join('')}</${name}>`;
}

/** Small print below the words of a cell. */
export const note = (text: string): string => element('span', { class: 'note' }, escapeText(text));

/** Markup that is not escaped again. */
export interface Markup {
  readonly markup: string;
}

export interface HtmlColumn {
  readonly name: string;
  /** @default false */
  readonly isNumber?: boolean;
}

export const named = (name: string): HtmlColumn => ({ name });
export const numeric = (name: string): HtmlColumn => ({ name, isNumber: true });

export function table(
  columns: readonly HtmlColumn[],
  rows: readonly (readonly (string | Markup)[])[],
): string {
  const row = (cells: readonly (string | Markup)[], scopes: readonly string[]): string =>
    element(
      'tr',
      {},
      ...cells.map((cell, index) => {
        const scope = scopes[index];
        const attributes = {
          ...(scope === undefined ? {} : { scope }),
          ...(columns[index]?.isNumber === true ? { class: 'number' } : {}),
        };
        const markup = typeof cell === 'string' ? escapeText(cell) : cell.markup;
        return element(scope === undefined ? 'td' : 'th', attributes, markup);
      }),
    );
  const names = columns.map(({ name }) => name);
  const head = row(
    names,
    names.map(() => 'col'),
  );
  const body = rows.map((cells) => row(cells, ['row']));
  const whole = element('table', {}, element('thead', {}, head), element('tbody', {}, ...body));
  return element('div', { class: 'scroll' }, whole);
}

/** What one has to ask for. */
export const folded = (summary: string, body: string): string =>
  element('details', {}, element('summary', {}, escapeText(summary)), body);
