/**
 * Judges the guest's counter journal (lines `VALUE TOKEN`) against what clients were promised.
 *
 * An acknowledged value must be in the journal, once, with the client's token. A count that was
 * never acknowledged (its request failed) may be there or not, but never twice.
 */
import type { AcknowledgedValue } from './load-record.ts';

const LINE = /^(\d{1,15}) (\S{1,64})$/;
const FINDINGS_MAX = 20;
/** Counts without a token have nothing that could be compared. */
const NO_TOKEN = '-';

export interface CounterVerdict {
  /** Acknowledged values that are not in the journal with their token. */
  readonly lost: number;
  /** Values or tokens that are in the journal, or were acknowledged, more than once. */
  readonly doubled: number;
  readonly entries: number;
  readonly findings: readonly string[];
}

export function judgeCounter(
  journal: string,
  acknowledged: readonly Pick<AcknowledgedValue, 'value' | 'token'>[],
): CounterVerdict {
  const findings: string[] = [];
  const find = (finding: string): void => {
    if (findings.length < FINDINGS_MAX) findings.push(finding);
  };
  const tokenOf = new Map<number, string>();
  const countedAs = new Map<string, number>();
  let doubled = 0;
  let entries = 0;
  for (const line of journal.split('\n').slice(0, -1)) {
    const [, digits, token] = LINE.exec(line) ?? [];
    if (token === undefined) {
      find(`the journal has a line that is none: '${line.slice(0, 60)}'`);
      continue;
    }
    entries += 1;
    const value = Number(digits);
    const twice = tokenOf.has(value) || (token !== NO_TOKEN && countedAs.has(token));
    if (twice) {
      doubled += 1;
      find(`value ${value} with token ${token} was counted before`);
    }
    if (!tokenOf.has(value)) tokenOf.set(value, token);
    if (!countedAs.has(token)) countedAs.set(token, value);
  }

  let lost = 0;
  const promised = new Map<number, string>();
  for (const { value, token } of acknowledged) {
    const other = promised.get(value);
    if (other !== undefined) {
      doubled += 1;
      find(`value ${value} was given to ${other} and to ${token}`);
    }
    promised.set(value, token);
    const found = tokenOf.get(value);
    if (found === token) continue;
    lost += 1;
    find(
      found === undefined
        ? `value ${value}, acknowledged to ${token}, is not in the journal`
        : `value ${value}, acknowledged to ${token}, is in the journal for ${found}`,
    );
  }
  return { lost, doubled, entries, findings };
}
