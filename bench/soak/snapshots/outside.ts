/**
 * What the outside saw of the guest, and what a machine of its past must have by that.
 *
 * Intuition: an answer leaves when the backup has the log up to it. So what was answered before an
 * instant is in the machine of that instant, and what was asked only after it is not. Asked often
 * enough, the outside knows the last line of the ledger at any instant, to a line or two.
 */
import { judgeCounter } from '../../../src/lab/judge-counter.ts';
import { judgeLedger } from '../../../src/lab/judge-ledger.ts';
import type { AcknowledgedValue } from '../../../src/lab/load-record.ts';

/** The guest said: `ledger` is the number of the last line. Asked and answered, ms since 1970. */
export interface LedgerSight {
  readonly fromMs: number;
  readonly toMs: number;
  readonly ledger: number;
}

/** The guest's two files, as text. */
export interface GuestFiles {
  readonly ledger: string;
  readonly journal: string;
}

/** An instant, as far as the outside can tell; ms since 1970. */
export interface Horizon {
  /** What the outside had heard by then is in the state. */
  readonly heardMs: number;
  /** What the outside began after it is not. */
  readonly begunMs: number;
}

export interface Judged {
  /** Number of the ledger's last line, and between which numbers it had to be. */
  readonly last: number;
  readonly least: number;
  readonly most: number;
  /** What is wrong, in words; empty when nothing is. */
  readonly findings: readonly string[];
}

/** Clocks of processes of one machine, each read and rounded for itself. */
const clockMs = 5;

export class Outside {
  readonly #sights: readonly LedgerSight[];
  /** With the earliest moment at which each may have been asked for. */
  readonly #acknowledged: readonly (AcknowledgedValue & { readonly fromMs: number })[];
  readonly #final: GuestFiles;

  /**
   * `sights` and `acknowledged` in the order of their times; `final`: the files at the end of all.
   */
  constructor(seen: {
    readonly sights: readonly LedgerSight[];
    readonly acknowledged: readonly AcknowledgedValue[];
    readonly final: GuestFiles;
  }) {
    this.#sights = seen.sights;
    this.#final = seen.final;
    // A client counts again when it has the answer before.
    const before = new Map<string, number>();
    this.#acknowledged = seen.acknowledged.map((value) => {
      const client = value.token.slice(0, value.token.lastIndexOf('-'));
      const fromMs = before.get(client) ?? Number.NEGATIVE_INFINITY;
      before.set(client, value.atMs);
      return { ...value, fromMs };
    });
  }

  /** Judges the files that are on the disk of a machine of the past. */
  judge(found: GuestFiles, horizon: Horizon): Judged {
    const heardMs = horizon.heardMs - clockMs;
    const begunMs = horizon.begunMs + clockMs;
    const findings: string[] = [];

    const ledger = judgeLedger(found.ledger);
    findings.push(...ledger.findings);
    const { last } = ledger;
    // The guest tells the length of the file, which may count a line that is being written.
    const told = this.#sights.findLast(({ toMs }) => toMs < heardMs)?.ledger ?? 1;
    const least = told - 1;
    const later = this.#sights.find(({ fromMs }) => fromMs > begunMs);
    const most = later?.ledger ?? Number.POSITIVE_INFINITY;
    if (last < least || last > most) {
      findings.push(`the ledger ends with line ${last}: it had to be ${least} to ${most}`);
    }
    if (later === undefined) findings.push('nobody asked for the ledger after this instant');
    if (!this.#final.ledger.startsWith(wholeLines(found.ledger))) {
      findings.push('the ledger is not the beginning of what it became');
    }

    const promised = this.#acknowledged.filter(({ atMs }) => atMs < heardMs);
    const counter = judgeCounter(found.journal, promised);
    findings.push(...counter.findings);
    if (!this.#final.journal.startsWith(wholeLines(found.journal))) {
      findings.push('the journal is not the beginning of what it became');
    }
    findings.push(...this.#tooEarly(found.journal, begunMs));
    return { last, least, most, findings };
  }

  /** Values that were counted before anybody asked for them. */
  #tooEarly(journal: string, begunMs: number): string[] {
    const tokens = new Set(journal.split('\n').map((line) => line.split(' ')[1]));
    const early = this.#acknowledged.find(
      ({ fromMs, token }) => fromMs > begunMs && tokens.has(token),
    );
    return early === undefined ? [] : [`value ${early.value} was asked for only later`];
  }
}

export const wholeLines = (text: string): string => text.slice(0, text.lastIndexOf('\n') + 1);
