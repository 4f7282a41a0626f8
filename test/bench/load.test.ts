// A results file that would be misread is refused with one error that says what is wrong with it.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { loadResults, parseResults } from '../../src/bench/report/load.ts';
import { emptyResults, fullResults } from './fixture.ts';

let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-bench-'));
});
afterAll(() => fs.rmSync(dir, { recursive: true }));

function refusal(read: () => unknown): UnderstudyError {
  try {
    read();
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) return thrown;
    throw thrown;
  }
  throw new Error('it was not refused');
}

const refusedText = (data: unknown): string => {
  const error = refusal(() => parseResults(JSON.stringify(data), 'r.json'));
  expect(error.code).toBe('config');
  expect(error.hint).toBeDefined();
  return error.message;
};

test('what was written is read', () => {
  const file = path.join(dir, 'good.json');
  fs.writeFileSync(file, JSON.stringify(fullResults()));
  expect(loadResults(file)).toEqual(fullResults());
});

test('fields of a later version are no error', () => {
  const later = { ...emptyResults(), moon: 'full' };
  expect(parseResults(JSON.stringify(later), 'r.json')).toEqual(emptyResults());
});

test('control characters of a name do not reach a terminal', () => {
  const why = 'a\u001b[2Jb\r\nc';
  const results = emptyResults({ gaps: [{ what: 'x', why }] });
  expect(parseResults(JSON.stringify(results), 'r.json').gaps[0]?.why).toBe('a [2Jb c');
});

test('a missing file', () => {
  const file = path.join(dir, 'missing.json');
  const error = refusal(() => loadResults(file));
  expect(error.code).toBe('config');
  expect(error.message).toBe(`Cannot read benchmark results '${file}'`);
  expect(error.describe()).toContain('ENOENT');
  expect(error.hint).toContain('bench');
});

test('a file that is not JSON', () => {
  const error = refusal(() => parseResults('{"format": 1,', 'r.json'));
  expect(error.code).toBe('config');
  expect(error.message).toBe("Cannot use benchmark results 'r.json': it is not JSON");
  expect(error.cause).toBeInstanceOf(SyntaxError);
});

test('another format is told apart from a wrong shape', () => {
  expect(refusedText({ format: 2 })).toBe(
    "Cannot use benchmark results 'r.json': their format is 2, and this version reads 1",
  );
  for (const none of [{}, [], null, 'text', 5]) {
    expect(refusedText(none)).toBe("Cannot use benchmark results 'r.json': it has no `format`");
  }
});

test('the first wrong field is named by its path', () => {
  const results = fullResults();
  const runs = [...results.jobRuns];
  expect(refusedText({ ...results, jobRuns: [runs[0], { ...runs[1], ms: 'soon' }] })).toMatch(
    /'r\.json': jobRuns\[1\]\.ms: .*number/,
  );
  expect(refusedText({ ...results, machine: { ...results.machine, cores: 0 } })).toContain(
    'machine.cores: ',
  );
  expect(refusedText({ ...results, gaps: undefined })).toContain('gaps: ');
  expect(refusedText({ ...results, startedAt: 'yesterday' })).toContain('startedAt: ');
  expect(refusedText({ ...results, cuts: [{ ...results.cuts[0], pauseMs: -1 }] })).toContain(
    'cuts[0].pauseMs: ',
  );
});
