/**
 * Judges the guest's ledger: a chain of numbered lines that the guest writes and syncs by itself.
 *
 * A line is `NUMBER TIME CHECKSUM`; the checksum covers the number, the time and the checksum of
 * the line before, so that a line which is lost, doubled, changed or moved breaks the chain.
 */
import { crc32 } from 'node:zlib';

/** Checksum of a line from its text before the checksum and the checksum of the line before. */
export type LedgerChecksum = (head: string, previous: string) => string;

/** The guest's own: CRC-32 of `NUMBER TIME PREVIOUS`, eight hexadecimal digits. */
export const guestChecksum: LedgerChecksum = (head, previous) =>
  crc32(`${head} ${previous}`).toString(16).padStart(8, '0');

/** What stands for the checksum before the first line. */
const CHAIN_START = '00000000';
const LINE = /^((\d{1,15}) \d{1,15}) ([0-9a-f]{8})$/;
const FINDINGS_MAX = 20;

export interface LedgerVerdict {
  /** Greatest valid number. */
  readonly last: number;
  readonly valid: number;
  /** Numbers up to the last, and those that were seen earlier, of which no valid line exists. */
  readonly lost: number;
  readonly doubled: number;
  readonly findings: readonly string[];
}

export interface LedgerOptions {
  /**
   * The greatest line number that the outside saw, and lines that it read, before the kill. What
   * was seen must be there, word for word.
   */
  readonly seenLast?: number;
  readonly seenText?: string;
  /** @default guestChecksum */
  readonly checksum?: LedgerChecksum;
}

export function judgeLedger(text: string, options: LedgerOptions = {}): LedgerVerdict {
  const { checksum = guestChecksum, seenLast = 0 } = options;
  const findings: string[] = [];
  const find = (finding: string): void => {
    if (findings.length < FINDINGS_MAX) findings.push(finding);
  };
  const lines = new Map<number, string>();
  let doubled = 0;
  let last = 0;
  let before = { number: 0, checksum: CHAIN_START };
  for (const [index, line] of wholeLines(text).entries()) {
    const [, head, digits, sum] = LINE.exec(line) ?? [];
    if (head === undefined || sum === undefined) {
      find(`line ${index + 1} of the ledger is no line: '${line.slice(0, 60)}'`);
      continue;
    }
    const number = Number(digits);
    // After a gap the checksum before is unknown; then only the gap is reported.
    const follows = number === before.number + 1;
    const right = !follows || checksum(head, before.checksum) === sum;
    if (lines.has(number)) {
      doubled += 1;
      find(`ledger line ${number} is there twice`);
    } else if (right) {
      lines.set(number, line);
    } else {
      find(`ledger line ${number} has a wrong checksum: '${line}'`);
    }
    last = Math.max(last, number);
    before = { number, checksum: sum };
  }
  const changed = changedLines(options.seenText ?? '', lines, find);
  const expected = Math.max(last, seenLast, changed.seenLast);
  const missing = missingNumbers(lines, expected, find);
  return { last, valid: lines.size, lost: missing + changed.count, doubled, findings };
}

/** Lines that end in a newline: the guest may be writing the next one. */
function wholeLines(text: string): string[] {
  const lines = text.split('\n');
  lines.pop();
  return lines;
}

function changedLines(seen: string, lines: Map<number, string>, find: (text: string) => void) {
  let count = 0;
  let seenLast = 0;
  for (const line of wholeLines(seen)) {
    const number = Number.parseInt(line, 10);
    if (!(number > 0)) continue;
    seenLast = Math.max(seenLast, number);
    const now = lines.get(number);
    if (now === undefined || now === line) continue; // missing ones are counted as such
    count += 1;
    find(`ledger line ${number} was '${line}' and is now '${now}'`);
  }
  return { count, seenLast };
}

function missingNumbers(
  lines: Map<number, string>,
  expected: number,
  find: (text: string) => void,
): number {
  let missing = 0;
  for (let number = 1; number <= expected; number += 1) {
    if (lines.has(number)) continue;
    missing += 1;
    find(`ledger line ${number} is missing`);
  }
  return missing;
}
