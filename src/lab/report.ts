/** What a demo found, in the shape of `understudy demo --json`. Scripts may depend on the names. */
import type { LoadFailure } from './load-record.ts';

/** One takeover, from the kill of the speaker; each step in the order of its happening. */
export interface TakeoverTimes {
  /** Kill to the backup's decision, the won term included. */
  readonly detectMs: number;
  /** Until every acknowledged event was executed and proven. */
  readonly drainMs: number;
  /** Until the successor ran with its device state loaded. */
  readonly loadMs: number;
  /** Until the outside saw the first output again; 0 when it was not measured. */
  readonly firstOutputMs: number;
}

export interface DemoReport {
  readonly rounds: number;
  readonly takeovers: number;
  readonly requestsOk: number;
  readonly failedRequests: number;
  readonly slowestRequestMs: number;
  /** The first failures, with reason and time. */
  readonly failures: readonly LoadFailure[];
  /** Lines of the guest's ledger that were seen or must exist, and are missing or invalid. */
  readonly lostLedgerLines: number;
  readonly ledgerLines: number;
  readonly lostCounterValues: number;
  readonly doubledCounterValues: number;
  readonly acknowledgedCounterValues: number;
  readonly echoLines: number;
  readonly lostEchoLines: number;
  readonly doubledEchoLines: number;
  /** Why the one long TCP connection broke, if it did. */
  readonly echoBroken: string | null;
  readonly longestGapMs: number;
  readonly cutsCompared: number;
  readonly cutsUnequal: number;
  readonly takeoverMs: { readonly p50: number; readonly max: number; readonly samples: number[] };
  readonly takeoverSteps: readonly TakeoverTimes[];
  readonly cutPauseMs: { readonly p50: number; readonly max: number };
  readonly lagMs: { readonly p50: number; readonly p99: number };
  readonly logBytesPerSecond: number;
  /** The largest resident memory of a node process, bytes. */
  readonly nodeRssBytes: number;
  /** What the judge has to say in words, worst first. */
  readonly findings: readonly string[];
}
