// Figures that were computed by hand, so that a report cannot flatter unnoticed.
import { describe, expect, test } from 'vitest';
import {
  jobTimes,
  median,
  percentile,
  slowdowns,
  summarize,
  tooNoisy,
} from '../../src/bench/report/stats.ts';
import type { JobRun } from '../../src/bench/results.ts';

const run = (arrangement: JobRun['arrangement'], round: number, ms: number): JobRun => ({
  arrangement,
  job: 'cpu',
  round,
  ms,
});

describe('median and percentile', () => {
  test('the middle of an odd number, the mean of the two middle ones of an even number', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 10])).toBe(3);
    expect(median([7])).toBe(7);
    expect(median([])).toBe(0);
  });

  test('a percentile is a value that was measured', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(hundred, 0.99)).toBe(99);
    expect(percentile([1, 2, 3], 0.99)).toBe(3);
  });

  test('more values than a distribution keeps by itself are still exact', () => {
    const many = Array.from({ length: 30_000 }, (_, index) => index + 1);
    expect(percentile(many, 0.99)).toBe(29_700);
  });
});

describe('summarize', () => {
  test('nothing has no summary, one value has no spread', () => {
    expect(summarize([])).toBeUndefined();
    expect(summarize([5])).toMatchObject({ median: 5, least: 5, greatest: 5, spread: 0 });
  });

  test('few values spread between their extremes, many between their quartiles', () => {
    expect(summarize([9, 10, 12])?.spread).toBeCloseTo(0.3);
    const eight = summarize([1, 10, 10, 10, 11, 12, 12, 90]);
    // Quartiles by nearest rank are the 2nd and the 6th: (12 - 10) / 10.5.
    expect(eight?.spread).toBeCloseTo(2 / 10.5);
    expect(eight).toMatchObject({ least: 1, greatest: 90, p25: 10, p75: 12, p99: 90 });
  });

  test('a median of 0 does not divide', () => {
    expect(summarize([0, 0, 1])?.spread).toBe(0);
  });
});

describe('slowdowns', () => {
  const runs = [
    run('pair', 1, 300),
    run('bare', 0, 100),
    run('bare', 1, 200),
    run('pair', 0, 130),
    run('pair', 2, 999),
    { ...run('pair', 0, 50_000), job: 'http' as const },
  ];

  test('are taken within a round, and a round without its base is left out', () => {
    expect(slowdowns(runs, 'cpu', 'pair', 'bare')).toEqual([1.3, 1.5]);
  });

  test('a base of 0 ms is no base', () => {
    expect(slowdowns([run('bare', 0, 0), run('pair', 0, 5)], 'cpu', 'pair', 'bare')).toEqual([]);
  });

  test('times come in the order of the rounds', () => {
    expect(jobTimes(runs, 'cpu', 'pair')).toEqual([130, 300, 999]);
  });
});

describe('tooNoisy', () => {
  const calm = [100, 101, 102];
  const wild = [80, 100, 130];

  test('noisy runs with rounds on both sides of the goal', () => {
    expect(tooNoisy([1.4, 1.6], 1.5, [calm, wild])).toBe(
      'too noisy to tell: runs of the same thing differ by 50 %, and rounds lie between 1.40 and 1.60',
    );
  });

  test('calm runs may straddle the goal: the median decides', () => {
    expect(tooNoisy([1.49, 1.51], 1.5, [calm])).toBeUndefined();
  });

  test('noise with every round on one side hides nothing', () => {
    expect(tooNoisy([1.1, 1.4], 1.5, [wild])).toBeUndefined();
    expect(tooNoisy([1.6, 2.4], 1.5, [wild])).toBeUndefined();
    expect(tooNoisy([1.2, 1.5], 1.5, [wild])).toBeUndefined();
  });

  test('a spread of exactly the bound is not noisy yet', () => {
    expect(tooNoisy([1.4, 1.6], 1.5, [[95, 100, 105]])).toBeUndefined();
    expect(tooNoisy([1.4, 1.6], 1.5, [[95, 100, 105.5]])).toBeDefined();
  });

  test('nothing measured is not noise', () => {
    expect(tooNoisy([], 1.5, [])).toBeUndefined();
  });
});
