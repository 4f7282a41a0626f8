/** Puts the judgement over a whole run together: the guest's files against the outside's record. */
import { type CounterVerdict, judgeCounter } from './judge-counter.ts';
import { judgeLedger, type LedgerOptions, type LedgerVerdict } from './judge-ledger.ts';
import { type LoadRecord, longestGapMs } from './load-record.ts';
import type { DemoReport } from './report.ts';

export interface Evidence {
  /** The guest's `/ledger` and `/counter.log` after the last takeover. */
  readonly ledger: string;
  readonly journal: string;
  readonly load: LoadRecord;
  /** What of the ledger the outside had seen before the kills. */
  readonly seen?: LedgerOptions;
}

/** The part of the report that the outside decides. */
export type OutsideReport = Pick<
  DemoReport,
  | 'requestsOk'
  | 'failedRequests'
  | 'slowestRequestMs'
  | 'failures'
  | 'lostLedgerLines'
  | 'ledgerLines'
  | 'lostCounterValues'
  | 'doubledCounterValues'
  | 'acknowledgedCounterValues'
  | 'echoLines'
  | 'lostEchoLines'
  | 'doubledEchoLines'
  | 'echoBroken'
  | 'longestGapMs'
  | 'findings'
>;

export function judge(evidence: Evidence): OutsideReport {
  const { load } = evidence;
  const ledger: LedgerVerdict = judgeLedger(evidence.ledger, evidence.seen);
  const counter: CounterVerdict = judgeCounter(evidence.journal, load.acknowledged);
  return {
    requestsOk: load.requestsOk,
    failedRequests: load.requestsFailed,
    slowestRequestMs: load.requestMs.max,
    failures: load.failures,
    // A doubled line stands where another one should be: it is not better than a lost one.
    lostLedgerLines: ledger.lost + ledger.doubled,
    ledgerLines: ledger.valid,
    lostCounterValues: counter.lost,
    doubledCounterValues: counter.doubled,
    acknowledgedCounterValues: load.acknowledged.length,
    echoLines: load.echo?.received ?? 0,
    lostEchoLines: (load.echo?.lost ?? 0) + (load.echo?.damaged ?? 0),
    doubledEchoLines: load.echo?.doubled ?? 0,
    echoBroken: load.echo?.broken ?? null,
    longestGapMs: longestGapMs(load),
    findings: [...ledger.findings, ...counter.findings],
  };
}
