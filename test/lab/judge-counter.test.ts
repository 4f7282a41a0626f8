// What a client was promised must be in the journal, once, under its own token.
import { describe, expect, test } from 'vitest';
import { judgeCounter } from '../../src/lab/judge-counter.ts';

const promised = [
  { value: 1, token: 'a-1' },
  { value: 2, token: 'b-1' },
  { value: 4, token: 'a-2' },
];

describe('judgeCounter', () => {
  test('kept promises; a count nobody was told of (3) does no harm', () => {
    expect(judgeCounter('1 a-1\n2 b-1\n3 b-2\n4 a-2\n', promised)).toEqual({
      lost: 0,
      doubled: 0,
      entries: 4,
      findings: [],
    });
  });

  test.each([
    ['an acknowledged value is gone', '1 a-1\n2 b-1\n3 b-2\n', 1, 0],
    ['a value went to somebody else', '1 a-1\n2 x-9\n4 a-2\n', 1, 0],
    ['a request was executed twice', '1 a-1\n2 b-1\n3 b-1\n4 a-2\n', 0, 1],
    ['a value was given twice', '1 a-1\n2 b-1\n2 c-1\n4 a-2\n', 0, 1],
    ['a torn line in the middle', '1 a-1\n2 b-\u0000\n4 a-2\n', 1, 0],
  ])('%s', (_name, journal, lost, doubled) => {
    const verdict = judgeCounter(journal, promised);
    expect(verdict).toMatchObject({ lost, doubled });
    expect(verdict.findings.length).toBeGreaterThan(0);
  });

  test('two clients were told the same value', () => {
    const acknowledged = [...promised, { value: 2, token: 'c-1' }];
    expect(judgeCounter('1 a-1\n2 b-1\n4 a-2\n', acknowledged)).toMatchObject({
      lost: 1,
      doubled: 1,
    });
  });

  test('counts without a token may repeat that they have none', () => {
    expect(judgeCounter('1 -\n2 -\n', [])).toMatchObject({ doubled: 0, entries: 2 });
  });
});
