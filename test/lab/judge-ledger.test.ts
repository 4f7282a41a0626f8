// The judge must find every way a ledger can be wrong after a takeover, and nothing else.
import { describe, expect, test } from 'vitest';
import { guestChecksum, judgeLedger } from '../../src/lab/judge-ledger.ts';

/** A ledger as the guest writes it. */
function ledger(lines: number): string[] {
  let previous = '00000000';
  return Array.from({ length: lines }, (_, index) => {
    const number = String(index + 1).padStart(10, '0');
    const head = `${number} ${1_700_000_000_000 + index}`;
    previous = guestChecksum(head, previous);
    return `${head} ${previous}\n`;
  });
}

describe('judgeLedger', () => {
  test('a whole ledger is whole', () => {
    expect(judgeLedger(ledger(100).join(''))).toEqual({
      last: 100,
      valid: 100,
      lost: 0,
      doubled: 0,
      findings: [],
    });
  });

  test('a line that is being written now is not judged', () => {
    const text = ledger(3).join('');
    expect(judgeLedger(text.slice(0, -5))).toMatchObject({ last: 2, lost: 0 });
  });

  test('a missing line', () => {
    const lines = ledger(10);
    lines.splice(4, 1);
    expect(judgeLedger(lines.join(''))).toMatchObject({
      lost: 1,
      findings: ['ledger line 5 is missing'],
    });
  });

  test('a line written twice', () => {
    const lines = ledger(10);
    lines.splice(4, 0, lines[4] as string);
    expect(judgeLedger(lines.join(''))).toMatchObject({ lost: 0, doubled: 1 });
  });

  test('a changed line', () => {
    const lines = ledger(10);
    lines[4] = (lines[4] as string).replace(' 17', ' 18');
    const verdict = judgeLedger(lines.join(''));
    expect(verdict.lost).toBe(1);
    expect(verdict.findings[0]).toMatch(/line 5 has a wrong checksum/);
  });

  test('garbage in the place of a line', () => {
    const lines = ledger(10);
    lines[4] = '\0\0\0\0\n';
    expect(judgeLedger(lines.join(''))).toMatchObject({ lost: 1, valid: 9 });
  });

  test('a ledger that went back: the outside had seen more before the kill', () => {
    expect(judgeLedger(ledger(10).join(''), { seenLast: 12 })).toMatchObject({ lost: 2 });
  });

  test('a ledger whose past was rewritten after it was seen', () => {
    const seenText = ledger(10).join('').replaceAll(' 17', ' 16');
    const verdict = judgeLedger(ledger(10).join(''), { seenText });
    expect(verdict.lost).toBe(10);
    expect(verdict.findings[0]).toMatch(/ledger line 1 was '.*' and is now/);
  });

  test('another checksum can be given', () => {
    expect(judgeLedger('1 5 aaaaaaaa\n', { checksum: () => 'aaaaaaaa' })).toMatchObject({
      valid: 1,
      lost: 0,
    });
  });
});
