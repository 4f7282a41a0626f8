/**
 * What Understudy promises, each checked against a report. The demo's exit code is 0 if and only
 * if all of them were kept.
 */

import { formatCount } from '../text/units.ts';
import type { DemoReport } from './report.ts';

export interface Promised {
  readonly name: string;
  readonly kept: boolean;
  /** What was found, as a sentence. */
  readonly text: string;
}

export function promises(report: DemoReport): Promised[] {
  const { rounds, takeovers, failedRequests, lostLedgerLines } = report;
  const { lostCounterValues, doubledCounterValues, cutsCompared, cutsUnequal } = report;
  const echoFaults = report.lostEchoLines + report.doubledEchoLines;
  return [
    {
      name: 'every kill is survived',
      kept: takeovers === rounds,
      text: `${takeovers} of ${count(rounds, 'kill')} ended in a takeover`,
    },
    {
      name: 'no request fails',
      kept: failedRequests === 0 && report.requestsOk > 0,
      text: `${failedRequests} of ${count(report.requestsOk + failedRequests, 'request')} failed`,
    },
    {
      name: 'no ledger line is lost',
      kept: lostLedgerLines === 0 && report.ledgerLines > 0,
      text: `${lostLedgerLines} of ${count(report.ledgerLines, 'line')} lost`,
    },
    {
      name: 'what was acknowledged is kept, once',
      kept: lostCounterValues === 0 && doubledCounterValues === 0,
      text:
        `of ${count(report.acknowledgedCounterValues, 'acknowledged value')}, ` +
        `${lostCounterValues} lost and ${doubledCounterValues} doubled`,
    },
    {
      name: 'open connections carry on',
      kept: report.echoBroken === null && echoFaults === 0,
      text:
        report.echoBroken === null
          ? `${count(report.echoLines, 'line')} over one connection, ` +
            `${report.lostEchoLines} lost, ${report.doubledEchoLines} doubled`
          : `the connection broke: ${report.echoBroken}`,
    },
    {
      name: 'the backup is identical at every cut',
      kept: cutsUnequal === 0,
      text:
        cutsCompared === 0
          ? 'no cut was compared'
          : `${count(cutsCompared, 'cut')} compared, ${cutsUnequal} unequal`,
    },
  ];
}

export const allKept = (report: DemoReport): boolean =>
  promises(report).every((promise) => promise.kept);

const count = (number: number, noun: string): string =>
  `${formatCount(number)} ${noun}${number === 1 ? '' : 's'}`;
