/**
 * Every figure of a run by a name that another run has, too: what a comparison compares. They are
 * the cells of the report's tables that keep samples. Of a percentile that was measured inside
 * there is one sample a run.
 */
import type { BenchResults } from '../results.ts';
import type { FigureUnit } from './format.ts';
import { type ReportTable, reportTables, samplesOf } from './tables.ts';

export interface Figure {
  /** Unique in a run: `takeover, kill, 128 MiB: detect`. */
  readonly name: string;
  readonly unit: FigureUnit;
  readonly better: 'less' | 'more';
  readonly samples: readonly number[];
}

/** Figures that were measured, each once. */
export const figuresOf = (results: BenchResults): readonly Figure[] =>
  Object.values(reportTables(results)).flatMap(figuresOfTable);

const figuresOfTable = ({ of, columns, rows }: ReportTable): readonly Figure[] =>
  rows.flatMap((row) =>
    columns.flatMap(({ name, unit, better = 'less' }) => {
      const samples = samplesOf(row, name);
      if (unit === undefined || samples.length === 0) return [];
      return [{ name: `${of}, ${row.name}: ${name}`, unit, better, samples }];
    }),
  );
