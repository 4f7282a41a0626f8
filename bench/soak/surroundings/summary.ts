/** What a soak found, what of it breaks a promise, and how it reads. */
import type { OutsideReport } from '../../../src/lab/judge.ts';
import type { Promised } from '../../../src/lab/promises.ts';
import { aligned } from '../../../src/text/text-table.ts';
import { formatCount, formatMs } from '../../../src/text/units.ts';
import { type FaultName, faultKinds, kindOf } from './faults.ts';
import { describePlanned, type Planned } from './schedule.ts';
import type { Seen } from './sightings.ts';

/** After a fault is healed, the machine is to be protected again within so long. */
export const recoveryMsMax = 30_000;

/** One fault, and what came of it. */
export interface Trial {
  readonly planned: Planned;
  /** Since the soak began. */
  readonly atMs: number;
  readonly seen: Seen;
  /** From its healing on; `undefined`: the soak did not see it any more. */
  readonly recoveryMs: number | undefined;
  readonly takeovers: number;
  /** `undefined`: no cut could be made. */
  readonly isEqual: boolean | undefined;
  /** The guest is in another boot than before. */
  readonly hasBooted: boolean;
  /** Nobody runs the machine. */
  readonly isLost: boolean;
  readonly findings: readonly string[];
}

export interface SoakResult {
  readonly seed: number;
  readonly trials: readonly Trial[];
  readonly outside: OutsideReport;
  /** Also those that came between two faults. */
  readonly takeovers: number;
  /** The longest time that the machine was not protected when the next fault was due. */
  readonly unprotectedMs: number;
  /** Errors that the guest met on its disk. */
  readonly diskErrors: number;
  readonly findings: readonly string[];
}

/** The last line of `--json`. Scripts may depend on the names. */
export interface Summary {
  readonly faults: Readonly<Partial<Record<FaultName, number>>>;
  readonly invisible: number;
  readonly machinesLost: number;
  readonly boots: number;
  readonly lostWords: number;
  readonly doubledWords: number;
  readonly slowestRecoveryMs: number;
  readonly takeovers: number;
}

/** In the log and in the status of at least one node. */
export const isInvisible = ({ planned, seen }: Pick<Trial, 'planned' | 'seen'>): boolean =>
  kindOf(planned.name).visible === 'must' &&
  (seen.inStatus === undefined || seen.inLog === undefined);

export function summaryOf({ trials, outside, takeovers }: SoakResult): Summary {
  const faults: Partial<Record<FaultName, number>> = {};
  for (const { planned } of trials) faults[planned.name] = (faults[planned.name] ?? 0) + 1;
  const count = (isOne: (trial: Trial) => boolean): number => trials.filter(isOne).length;
  return {
    faults,
    invisible: count(isInvisible),
    machinesLost: count(({ isLost, hasBooted }) => isLost || hasBooted),
    boots: count(({ hasBooted }) => hasBooted),
    lostWords: outside.lostLedgerLines + outside.lostCounterValues + outside.lostEchoLines,
    doubledWords: outside.doubledCounterValues + outside.doubledEchoLines,
    slowestRecoveryMs: Math.round(Math.max(0, ...trials.map(({ recoveryMs }) => recoveryMs ?? 0))),
    takeovers,
  };
}

export function soakPromises(result: SoakResult): Promised[] {
  const { trials, outside } = result;
  const summary = summaryOf(result);
  const slow = trials.filter(
    ({ recoveryMs }) => recoveryMs === undefined || recoveryMs > recoveryMsMax,
  );
  const compared = trials.filter(({ isEqual }) => isEqual !== undefined).length;
  const unequal = trials.filter(({ isEqual }) => isEqual === false).length;
  return [
    {
      name: 'protected again in time',
      kept: slow.length === 0 && trials.length > 0 && result.unprotectedMs <= recoveryMsMax,
      text:
        `after ${trials.length - slow.length} of ${trials.length} faults; ` +
        `the slowest took ${formatMs(summary.slowestRecoveryMs)}, and another fault waited ` +
        `${formatMs(result.unprotectedMs)} for protection`,
    },
    {
      name: 'no machine is lost',
      kept: summary.machinesLost === 0,
      text: `${summary.machinesLost} lost, ${summary.boots} booted anew`,
    },
    {
      name: 'no word is lost or doubled',
      kept: summary.lostWords + summary.doubledWords === 0 && outside.findings.length === 0,
      text:
        `${summary.lostWords} lost and ${summary.doubledWords} doubled of ` +
        `${formatCount(outside.ledgerLines)} ledger lines, ` +
        `${formatCount(outside.acknowledgedCounterValues)} counted values, ` +
        `${formatCount(outside.echoLines)} echoes`,
    },
    {
      name: 'no request fails',
      kept: outside.failedRequests === 0 && outside.requestsOk > 0,
      text: `${outside.failedRequests} of ${formatCount(outside.requestsOk)} failed`,
    },
    {
      name: 'open connections carry on',
      kept: outside.echoBroken === null,
      text: outside.echoBroken === null ? 'none broke' : `one broke: ${outside.echoBroken}`,
    },
    {
      name: 'the guest sees no error',
      kept: result.diskErrors === 0,
      text: `${result.diskErrors} errors of its disk`,
    },
    {
      name: 'the backup is identical at every cut',
      kept: unequal === 0,
      text: `${compared} cuts compared, ${unequal} unequal`,
    },
    {
      name: 'every fault is to be seen',
      kept: summary.invisible === 0,
      text: `${summary.invisible} of ${trials.length} faults were not`,
    },
  ];
}

export const allKept = (result: SoakResult): boolean =>
  soakPromises(result).every(({ kept }) => kept);

/** One fault in a line. */
export function trialLine(trial: Trial): string {
  const { planned, recoveryMs, takeovers, isEqual, seen } = trial;
  const words = [
    recoveryMs === undefined ? 'NOT protected again' : `protected after ${formatMs(recoveryMs)}`,
    ...(takeovers > 0 ? [`${takeovers} ${takeovers === 1 ? 'takeover' : 'takeovers'}`] : []),
    ...(isEqual === false ? ['the cut is UNEQUAL'] : []),
    ...(isEqual === undefined ? ['no cut was compared'] : []),
    ...(trial.hasBooted ? ['the guest has BOOTED'] : []),
    ...(trial.isLost ? ['the machine is LOST'] : []),
    ...(isInvisible(trial) ? [`INVISIBLE: ${whereNot(seen)}`] : []),
  ];
  return `${formatMs(trial.atMs).padStart(8)}  ${describePlanned(planned)}: ${words.join(', ')}`;
}

const whereNot = ({ inStatus, inLog }: Seen): string =>
  [
    ...(inStatus === undefined ? ['not in status'] : []),
    ...(inLog === undefined ? ['not in the log'] : []),
  ].join(', ');

/** For people. */
export function summaryTable(result: SoakResult): string {
  const { trials, findings, outside } = result;
  const promised = soakPromises(result);
  const width = Math.max(...promised.map(({ name }) => name.length));
  const complaints = [
    ...trials.flatMap(({ planned, findings: found }) =>
      found.map((text) => `${describePlanned(planned)}: ${text}`),
    ),
    ...findings,
    ...outside.failures.map(
      ({ client, reason, atMs }) => `${new Date(atMs).toISOString()} ${client}: ${reason}`,
    ),
    ...outside.findings,
  ];
  return `${[
    `seed ${result.seed}: ${trials.length} faults, ${summaryOf(result).takeovers} takeovers`,
    ...promised.map(
      ({ name, kept, text }) => ` ${kept ? '✓' : '✗'} ${name.padEnd(width)}  ${text}`,
    ),
    ...aligned(faultRows(trials)).map((line) => `   ${line}`),
    ...complaints.slice(0, complaintsShown).map((text) => ` - ${text}`),
  ].join('\n')}\n`;
}

const complaintsShown = 40;

function faultRows(trials: readonly Trial[]): string[][] {
  const struck = faultKinds.filter(({ name }) =>
    trials.some(({ planned }) => planned.name === name),
  );
  const rows = struck.map(({ name, visible, why }) => {
    const own = trials.filter(({ planned }) => planned.name === name);
    const slowest = Math.max(...own.map(({ recoveryMs }) => recoveryMs ?? Number.NaN));
    const seen = own.filter((trial) => trial.seen.inStatus !== undefined).length;
    const logged = own.filter((trial) => trial.seen.inLog !== undefined).length;
    return [
      visible === 'must' ? name : `${name} (${why})`,
      String(own.length),
      Number.isNaN(slowest) ? 'never' : formatMs(slowest),
      String(own.reduce((sum, { takeovers }) => sum + takeovers, 0)),
      `${seen} and ${logged}`,
    ];
  });
  return [['fault', 'times', 'slowest recovery', 'takeovers', 'in status and log'], ...rows];
}
