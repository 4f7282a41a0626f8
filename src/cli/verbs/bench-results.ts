/** Results of benchmarks that were run: shown, and compared. */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { compareResults } from '../../bench/report/compare.ts';
import { comparisonTable } from '../../bench/report/compare-table.ts';
import { renderHtml } from '../../bench/report/html.ts';
import { loadResults } from '../../bench/report/load.ts';
import { readmeTable, replaceReadmeTable } from '../../bench/report/readme.ts';
import { resultsTable } from '../../bench/report/table.ts';
import type { BenchResults } from '../../bench/results.ts';
import { wantsColour } from '../../text/style.ts';

export interface CompareOptions {
  readonly json?: boolean;
}

export interface ReportOptions {
  readonly html?: string;
  readonly readme?: string;
}

/** What got better or worse. Throws `config` when one of the files is no results. */
export function compare(before: string, after: string, { json = false }: CompareOptions): void {
  const comparison = compareResults(loadResults(before), loadResults(after));
  if (json) process.stdout.write(`${JSON.stringify(comparison)}\n`);
  else {
    const coloured = wantsColour(process.stdout);
    process.stdout.write(comparisonTable(comparison, { coloured }));
  }
}

/** Results where they are wanted. Throws `config` and `rights`. */
export function report(file: string, { html, readme }: ReportOptions): void {
  const results = loadResults(file);
  if (html !== undefined) writeWhole(html, renderHtml(results));
  if (readme !== undefined) {
    writeWhole(readme, replaceReadmeTable(read(readme), readmeTable(results)));
  }
  if (html === undefined && readme === undefined) printResults(results);
}

/** The table, on standard output. */
export function printResults(results: BenchResults): void {
  process.stdout.write(resultsTable(results, { coloured: wantsColour(process.stdout) }));
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read '${file}'`, { cause: asError(thrown) });
  }
}

/** All or nothing: a file that was there is whole until the new one is. Throws `rights`. */
export function writeWhole(file: string, text: string): void {
  const partial = `${file}.new`;
  try {
    fs.writeFileSync(partial, text);
    fs.renameSync(partial, file);
  } catch (thrown) {
    fs.rmSync(partial, { force: true });
    throw new UnderstudyError('rights', `Cannot write '${file}'`, {
      cause: asError(thrown),
      hint: 'check its folder and the space there',
    });
  }
}
