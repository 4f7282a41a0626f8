// The exit code of the demo follows from these: one broken promise breaks the whole.
import { describe, expect, test } from 'vitest';
import { allKept, promises } from '../../src/lab/promises.ts';
import type { DemoReport } from '../../src/lab/report.ts';
import { sampleReport } from '../demo/sample-report.ts';

describe('promises', () => {
  test('are all kept when everything went well', () => {
    expect(allKept(sampleReport())).toBe(true);
  });

  test.each<[string, Partial<DemoReport>]>([
    ['every kill is survived', { takeovers: 1 }],
    ['no request fails', { failedRequests: 1 }],
    ['no request fails', { requestsOk: 0 }],
    ['no ledger line is lost', { lostLedgerLines: 1 }],
    ['no ledger line is lost', { ledgerLines: 0 }],
    ['what was acknowledged is kept, once', { lostCounterValues: 1 }],
    ['what was acknowledged is kept, once', { doubledCounterValues: 1 }],
    ['open connections carry on', { lostEchoLines: 1 }],
    ['open connections carry on', { doubledEchoLines: 1 }],
    ['open connections carry on', { echoBroken: 'ECONNRESET' }],
    ['the backup is identical at every cut', { cutsUnequal: 1 }],
  ])('%s: broken by %o', (name, changes) => {
    const report = sampleReport(changes);
    const broken = promises(report).filter((promise) => !promise.kept);
    expect(broken.map((promise) => promise.name)).toEqual([name]);
    expect(allKept(report)).toBe(false);
  });
});
