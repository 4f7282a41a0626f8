// The terminal's report: its look is part of the contract.
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { resultsTable } from '../../src/bench/report/table.ts';
import { emptyResults, fullResults } from './fixture.ts';

test('everything measured', () => {
  expect(resultsTable(fullResults())).toMatchSnapshot();
});

test('nothing measured: every section says so', () => {
  expect(resultsTable(emptyResults())).toMatchSnapshot();
});

test('colours change nothing but the colour', () => {
  const plain = resultsTable(fullResults());
  expect(stripVTControlCharacters(resultsTable(fullResults(), { coloured: true }))).toBe(plain);
  expect(plain).not.toContain('\x1b');
});

test('no line ends in spaces', () => {
  expect(resultsTable(fullResults())).not.toMatch(/ \n/);
});

test('noisy rounds are named', () => {
  const jobRuns = [100, 150].map((ms, round) => ({
    arrangement: 'pair' as const,
    job: 'http' as const,
    round,
    ms,
  }));
  expect(resultsTable(emptyResults({ jobRuns }))).toContain(
    'noisy, rounds differ by more than 10 %: HTTP, protected pair',
  );
});

test('a machine that a goal is not for is told why there is no verdict', () => {
  const full = fullResults();
  const text = resultsTable({ ...full, machine: { ...full.machine, cores: 2 } });
  expect(text).toMatch(
    / – CPU-bound: protected against plain TCG .*\n {5}the goal is for 3 free processors or more, this machine has 2\n/,
  );
});
