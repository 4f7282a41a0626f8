// The table is what a person sees of the whole project: its look is part of the contract.
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { reportTable } from '../../src/demo/table.ts';
import { sampleReport } from './sample-report.ts';

describe('reportTable', () => {
  test('a good run', () => {
    expect(reportTable(sampleReport())).toMatchSnapshot();
  });

  test('a bad run names what broke', () => {
    const text = reportTable(
      sampleReport({
        failedRequests: 1,
        failures: [
          { client: 'reader', atMs: 1_700_000_000_000, afterMs: 12, reason: 'connection reset' },
        ],
        lostLedgerLines: 1,
        findings: ['ledger line 5 is missing'],
      }),
    );
    expect(text).toMatchSnapshot();
  });

  test('colours change nothing but the colour', () => {
    const plain = reportTable(sampleReport());
    const coloured = reportTable(sampleReport(), { coloured: true });
    expect(stripVTControlCharacters(coloured)).toBe(plain);
    expect(plain).not.toContain('\x1b');
  });

  test('many complaints are cut short', () => {
    const findings = Array.from({ length: 50 }, (_, n) => `finding ${n}`);
    expect(reportTable(sampleReport({ findings }))).toContain('and 40 more');
  });
});
