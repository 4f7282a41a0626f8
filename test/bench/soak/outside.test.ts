// The judge of a soak of snapshots must accept the machine of an instant, and notice one that is
// too old, too new, or not of this past.
import { describe, expect, test } from 'vitest';
import { type LedgerSight, Outside } from '../../../bench/soak/snapshots/outside.ts';
import { guestChecksum } from '../../../src/lab/judge-ledger.ts';
import type { AcknowledgedValue } from '../../../src/lab/load-record.ts';

/** Line N is written at N * 100 ms. */
function ledgerOf(lines: number, more = ''): string {
  let previous = '00000000';
  let text = '';
  for (let number = 1; number <= lines; number += 1) {
    const head = `${String(number).padStart(10, '0')} ${1_700_000_000_000 + number}${more}`;
    previous = guestChecksum(head, previous);
    text += `${head} ${previous}\n`;
  }
  return text;
}

/** Value N is counted by two clients in turn and acknowledged at N * 100 ms. */
const acknowledged = Array.from({ length: 30 }, (_, index): AcknowledgedValue => {
  const value = index + 1;
  return { value, token: `soak1.${value % 2}-${Math.ceil(value / 2)}`, atMs: value * 100 };
});
const journalOf = (values: number): string =>
  acknowledged
    .slice(0, values)
    .map(({ value, token }) => `${value} ${token}\n`)
    .join('');

/** Asked every 50 ms, answered 10 ms later. */
const sights = Array.from({ length: 60 }, (_, index): LedgerSight => {
  const fromMs = index * 50;
  return { fromMs, toMs: fromMs + 10, ledger: Math.floor(fromMs / 100) };
});
const outside = new Outside({
  sights,
  acknowledged,
  final: { ledger: ledgerOf(30), journal: journalOf(30) },
});
/** Just behind line 12 and value 12. */
const horizon = { heardMs: 1260, begunMs: 1260 };
const files = (lines: number, values: number) => ({
  ledger: ledgerOf(lines),
  journal: journalOf(values),
});

describe('a machine of the past', () => {
  test('is right with what was heard before its instant', () => {
    expect(outside.judge(files(12, 12), horizon)).toEqual({
      ...{ last: 12, least: 11, most: 13, findings: [] },
    });
  });

  test('may have written what was not yet told, and not the line that was being written', () => {
    expect(outside.judge(files(13, 13), horizon).findings).toEqual([]);
    expect(outside.judge(files(11, 12), horizon).findings).toEqual([]);
  });

  test('is too old without a line or a value that the outside had heard of', () => {
    expect(outside.judge(files(10, 12), horizon).findings).toEqual([
      'the ledger ends with line 10: it had to be 11 to 13',
    ]);
    expect(outside.judge(files(12, 11), horizon).findings).toEqual([
      'value 12, acknowledged to soak1.0-6, is not in the journal',
    ]);
  });

  test('is too new with a line or a value that nobody had asked for', () => {
    expect(outside.judge(files(14, 12), horizon).findings).toEqual([
      'the ledger ends with line 14: it had to be 11 to 13',
    ]);
    expect(outside.judge(files(12, 15), horizon).findings).toEqual([
      'value 15 was asked for only later',
    ]);
  });

  test('is of another past when it has lines that never became', () => {
    const { findings } = outside.judge(
      { ledger: ledgerOf(12, '0'), journal: journalOf(12) },
      horizon,
    );
    expect(findings).toContain('the ledger is not the beginning of what it became');
  });

  test('is damaged when a line in its middle has changed', () => {
    const ledger = ledgerOf(12).replace('0000000005 17', '0000000005 18');
    const { findings } = outside.judge({ ledger, journal: journalOf(12) }, horizon);
    expect(findings.join('\n')).toContain('ledger line 5 has a wrong checksum');
  });

  test('cannot be judged when nobody looked afterwards', () => {
    const late = { heardMs: 4000, begunMs: 4000 };
    expect(outside.judge(files(30, 30), late).findings).toEqual([
      'nobody asked for the ledger after this instant',
    ]);
  });
});
