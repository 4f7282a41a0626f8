/** Columns of plain text: a heading, a rule, rows whose cells are aligned. */
import type { Paint } from './style.ts';

export interface TextSection {
  readonly title: string;
  /** Names of the columns; the first column needs none. */
  readonly columns?: readonly string[];
  /** The first cell is aligned left, the others right. */
  readonly rows: readonly (readonly string[])[];
  /** Whole lines below the rows. */
  readonly lines?: readonly string[];
}

const notMeasuredText = 'not measured in this run';

export function sectionLines(section: TextSection, paint: Paint): string[] {
  const { title, columns = [], rows, lines = [] } = section;
  const isEmpty = rows.length === 0 && lines.length === 0;
  const table = isEmpty || columns.length === 0 ? rows : [['', ...columns], ...rows];
  const texts = aligned(table);
  return [
    '',
    ` ${paint('bold', title)}`,
    ...texts.map((text, index) =>
      columns.length > 0 && index === 0 ? paint('dim', `   ${text}`) : `   ${text}`,
    ),
    ...(isEmpty ? [paint('dim', `   ${notMeasuredText}`)] : []),
    ...lines.map((line) => `   ${line}`),
  ];
}

/** Rows as lines. Cells that are missing at the end are empty. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(0, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
