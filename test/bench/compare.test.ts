// A change is only called better or worse when two runs do not overlap.
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type ChangeVerdict, compareResults, intervalOf } from '../../src/bench/report/compare.ts';
import { comparisonTable } from '../../src/bench/report/compare-table.ts';
import { figuresOf } from '../../src/bench/report/figures.ts';
import type { BenchResults } from '../../src/bench/results.ts';
import { emptyResults, fullResults } from './fixture.ts';

const cuts = (...pauses: number[]): Partial<BenchResults> => ({
  cuts: pauses.map((pauseMs) => ({ pauseMs, ramMs: 1, compareMs: 1, equal: true })),
});
const name = 'cut, pause of the guest: median';

function verdict(
  before: Partial<BenchResults>,
  after: Partial<BenchResults>,
  of = name,
): ChangeVerdict | undefined {
  const { figures } = compareResults(emptyResults(before), emptyResults(after));
  return figures.find((one) => one.name === of)?.verdict;
}

describe('verdicts', () => {
  test('apart and more than 5 %: less time is better', () => {
    expect(verdict(cuts(10, 10.2, 10.4), cuts(8, 8.2, 8.4))).toBe('better');
    expect(verdict(cuts(8, 8.2, 8.4), cuts(10, 10.2, 10.4))).toBe('worse');
  });

  test('overlap is noise, whatever the medians say', () => {
    expect(verdict(cuts(8, 10, 12), cuts(5, 6, 8))).toBe('within noise');
  });

  test('apart, but by 5 % or less, is noise', () => {
    expect(verdict(cuts(100, 100, 100), cuts(105, 105, 105))).toBe('within noise');
    expect(verdict(cuts(100, 100, 100), cuts(105.1, 105.1, 105.1))).toBe('worse');
  });

  test('from eight samples on an outlier does not make an overlap', () => {
    const before = cuts(10, 10, 10, 10, 10, 10, 10, 5);
    expect(verdict(before, cuts(8, 8, 8, 8, 8, 8, 8, 20))).toBe('better');
    expect(verdict(cuts(10, 10, 5), cuts(8, 8, 20))).toBe('within noise');
  });

  test('single samples need to be a third apart', () => {
    expect(verdict(cuts(100), cuts(130))).toBe('within noise');
    expect(verdict(cuts(100), cuts(136))).toBe('worse');
  });

  test('more throughput is better', () => {
    const at = (bytesPerSecond: number): Partial<BenchResults> => ({
      throughput: [{ part: 'wire', input: 'loopback', bytesPerSecond }],
    });
    expect(verdict(at(100), at(200), 'throughput, wire, loopback: rate')).toBe('better');
    expect(verdict(at(200), at(100), 'throughput, wire, loopback: rate')).toBe('worse');
  });

  test('what only one run has cannot be compared', () => {
    expect(verdict(cuts(1), {})).toBe('not comparable');
    expect(verdict({}, cuts(1))).toBe('not comparable');
  });

  test('from nothing to something has no percentage', () => {
    expect(verdict(cuts(0), cuts(5))).toBe('not comparable');
    expect(verdict(cuts(0), cuts(0))).toBe('within noise');
  });
});

test('medians and change are told', () => {
  const { figures } = compareResults(emptyResults(cuts(10, 20, 30)), emptyResults(cuts(5, 5, 5)));
  expect(figures.find((one) => one.name === name)).toEqual({
    name,
    unit: 'ms',
    before: 20,
    after: 5,
    change: -0.75,
    verdict: 'better',
  });
});

test('intervals', () => {
  const of = (...samples: number[]) =>
    intervalOf({ name: 'x', unit: 'ms', better: 'less', samples });
  expect(of(100).map(Math.round)).toEqual([85, 115]);
  expect(of(3, 1, 2)).toEqual([1, 3]);
  expect(of(1, 2, 3, 4, 5, 6, 7, 80)).toEqual([2, 6]);
});

test('a run against itself is all noise, without a warning', () => {
  const { warnings, figures } = compareResults(fullResults(), fullResults());
  expect(warnings).toEqual([]);
  expect(new Set(figures.map((one) => one.verdict))).toEqual(new Set(['within noise']));
  expect(figures.length).toBeGreaterThan(150);
});

test('names of figures are unique, and repeated runs are samples of one figure', () => {
  const names = figuresOf(fullResults()).map((one) => one.name);
  expect(new Set(names).size).toBe(names.length);
  const replay = figuresOf(fullResults()).find((one) => one.name === 'replay, CPU-bound: speed');
  expect(replay?.samples.length).toBe(3);
});

test('what differs besides is warned about', () => {
  const before = emptyResults();
  const after = emptyResults({
    mode: 'quick',
    guestMemoryBytes: 2 ** 30,
    machine: { ...before.machine, cpu: 'Other', cores: 2, realTime: false },
    versions: { ...before.versions, qemu: '10.0.0', commit: 'another' },
  });
  expect(compareResults(before, after).warnings).toEqual([
    'machine differs: Example CPU @ 2.60GHz, 4 cores, then Other, 2 cores',
    'real-time priority differs: yes, then no',
    'mode differs: full, then quick',
    'memory of the guest differs: 512 MiB, then 1 GiB',
    'QEMU differs: 7.2.22, then 10.0.0',
  ]);
});

describe('the table', () => {
  const comparison = compareResults(
    emptyResults({ ...cuts(10, 10.2, 10.4), memory: [{ role: 'primary', rssBytes: 2e8 }] }),
    emptyResults({ ...cuts(12, 12.2, 12.4), mode: 'quick' }),
  );

  test('worse figures come first', () => {
    expect(comparisonTable(comparison)).toBe(
      [
        ' Two benchmarks compared',
        ' ! mode differs: full, then quick',
        '',
        '                                  before   after  change         verdict',
        ' cut, pause of the guest: median   10 ms   12 ms   +20 %           worse',
        ' cut, compare of RAM: median      1.0 ms  1.0 ms   0.0 %    within noise',
        ' cut, to the verdict: median      1.0 ms  1.0 ms   0.0 %    within noise',
        ' memory, primary: most            200 MB       –       –  not comparable',
        '',
        ' 1 worse, 0 better, 2 within noise, 1 not comparable.',
        '',
      ].join('\n'),
    );
  });

  test('colours change nothing but the colour', () => {
    const coloured = comparisonTable(comparison, { coloured: true });
    expect(stripVTControlCharacters(coloured)).toBe(comparisonTable(comparison));
  });

  test('two empty runs', () => {
    const none = compareResults(emptyResults(), emptyResults());
    expect(comparisonTable(none)).toContain('Neither run measured anything.');
  });
});
