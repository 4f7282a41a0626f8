// A report in which everything went well; tests change what they are about.
import type { DemoReport } from '../../src/lab/report.ts';

export function sampleReport(changes: Partial<DemoReport> = {}): DemoReport {
  return {
    rounds: 2,
    takeovers: 2,
    requestsOk: 12_345,
    failedRequests: 0,
    slowestRequestMs: 1234,
    failures: [],
    lostLedgerLines: 0,
    ledgerLines: 512,
    lostCounterValues: 0,
    doubledCounterValues: 0,
    acknowledgedCounterValues: 300,
    echoLines: 1500,
    lostEchoLines: 0,
    doubledEchoLines: 0,
    echoBroken: null,
    longestGapMs: 141.5,
    cutsCompared: 1,
    cutsUnequal: 0,
    takeoverMs: { p50: 71, max: 86.4, samples: [71, 86.4] },
    takeoverSteps: [
      { detectMs: 30, drainMs: 25, loadMs: 16, firstOutputMs: 4.25 },
      { detectMs: 40, drainMs: 30, loadMs: 16.4, firstOutputMs: 5 },
    ],
    cutPauseMs: { p50: 4.4, max: 6 },
    lagMs: { p50: 2.1, p99: 18 },
    logBytesPerSecond: 254_000,
    nodeRssBytes: 96 * 1024 * 1024,
    findings: [],
    ...changes,
  };
}
