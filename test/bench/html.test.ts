// The page is one file that loads and runs nothing, and no name of a machine can change that.
import { describe, expect, test } from 'vitest';
import { renderHtml } from '../../src/bench/report/html.ts';
import { loadResults } from '../../src/bench/report/load.ts';
import { escapeText } from '../../src/bench/report/markup.ts';
import type { BenchResults } from '../../src/bench/results.ts';
import { emptyResults, fullResults } from './fixture.ts';
import { tagsOf } from './well-formed.ts';

const hostile = `"><script src="https://evil.example/x.js"></script>'&<img onerror=x>\u0000`;

/** One sample of each kind: no spread, no interval, a single point on each axis. */
function singleSamples(): BenchResults {
  const full = fullResults();
  const lists = Object.entries(full)
    .filter(([, value]) => Array.isArray(value))
    .map(([name, value]) => [name, (value as unknown[]).slice(0, 1)]);
  return { ...full, ...Object.fromEntries(lists) };
}

/** Durations and amounts of nothing. */
function zeros(): BenchResults {
  const text = JSON.stringify(singleSamples(), (key, value: unknown) => {
    const keep = ['format', 'cores', 'memoryBytes', 'guestMemoryBytes', 'epochMs'];
    return typeof value === 'number' && !keep.includes(key) ? 0 : value;
  });
  return JSON.parse(text) as BenchResults;
}

const pages: readonly (readonly [string, BenchResults])[] = [
  ['everything measured', fullResults()],
  ['nothing measured', emptyResults()],
  ['single samples', singleSamples()],
  ['nothing but zeros', zeros()],
];

describe.each(pages)('%s', (_, results) => {
  const html = renderHtml(results);
  const tags = tagsOf(html);

  test('no number went wrong', () => {
    expect(html).not.toMatch(/NaN|Infinity|undefined|\bnull\b(?!,|})/);
  });

  test('nothing is loaded and nothing is run', () => {
    expect(html).not.toMatch(/<(script|link|iframe|img|object|embed|base|form)\b/i);
    expect(html).not.toMatch(/@import|url\(|javascript:/i);
    for (const { name, attributes } of tags) {
      for (const [key, value] of Object.entries(attributes)) {
        expect(key).not.toMatch(/^on/);
        if (/^https?:/.test(value)) expect([name, key]).toEqual(['a', 'href']);
      }
      expect(attributes).not.toHaveProperty('src');
    }
  });

  test('ids are unique, and all that is pointed at exists', () => {
    const ids = tags.flatMap(({ attributes }) =>
      attributes.id === undefined ? [] : attributes.id,
    );
    expect(new Set(ids).size).toBe(ids.length);
    for (const { attributes } of tags) {
      const inPage = attributes.href?.startsWith('#') ? [attributes.href.slice(1)] : [];
      const labels = attributes['aria-labelledby']?.split(' ') ?? [];
      for (const id of [...inPage, ...labels]) expect(ids).toContain(id);
    }
  });

  test('every picture has a name and a description', () => {
    for (const { attributes } of tags.filter(({ name }) => name === 'svg')) {
      expect(attributes.role).toBe('img');
      expect(attributes['aria-labelledby']).toMatch(/^\S+-title \S+-desc$/);
    }
  });
});

test('a full page has its charts; an empty one says so in each place', () => {
  const charts = (results: BenchResults): number =>
    tagsOf(renderHtml(results)).filter(({ name }) => name === 'svg').length;
  expect(charts(fullResults())).toBe(14);
  expect(charts(emptyResults())).toBe(0);
  const empty = renderHtml(emptyResults());
  expect(empty.split('Not measured in this run.').length - 1).toBe(17);
  expect(renderHtml(fullResults())).not.toContain('Not measured in this run.');
});

test('hostile names stay text', () => {
  const full = fullResults();
  const html = renderHtml({
    ...full,
    machine: { ...full.machine, cpu: hostile, kernel: hostile },
    versions: {
      understudy: hostile,
      commit: hostile,
      node: hostile,
      qemu: hostile,
      guestKernel: hostile,
    },
    gaps: [{ what: hostile, why: hostile }],
    throughput: [{ part: 'wire', input: hostile, bytesPerSecond: 1 }],
  });
  tagsOf(html);
  expect(html).not.toContain('<script');
  expect(html).not.toContain('<img');
  expect(html).not.toContain('\u0000');
  expect(html).toContain(escapeText(hostile));
});

test('a replay that cannot keep up is called so', () => {
  const replays = [{ during: 'cpu' as const, round: 0, recordMs: 800, replayMs: 1000 }];
  expect(renderHtml(emptyResults({ replays }))).toContain('0.80× ▼ slower');
  const fast = [{ during: 'cpu' as const, round: 0, recordMs: 1000, replayMs: 1000 }];
  expect(renderHtml(emptyResults({ replays: fast }))).not.toContain('▼ slower');
});

test('an unequal cut is shouted', () => {
  const cuts = [true, false].map((equal) => ({ pauseMs: 5, ramMs: 1, compareMs: 9, equal }));
  expect(renderHtml(emptyResults({ cuts }))).toContain('2 cuts, 1 UNEQUAL');
});

test('the raw data can be had back from the page', () => {
  const html = renderHtml(fullResults());
  const text = /<pre>([^<]*)<\/pre>/.exec(html)?.[1] ?? '';
  const plain = text.replaceAll('&quot;', '"').replaceAll('&amp;', '&');
  expect(JSON.parse(plain)).toEqual(fullResults());
});

test('many samples do not overflow the stack', () => {
  const [one] = fullResults().takeovers;
  if (one === undefined) throw new Error('the fixture has takeovers');
  const takeovers = Array.from({ length: 5000 }, (_, index) => ({ ...one, lagMs: index }));
  expect(() => tagsOf(renderHtml(emptyResults({ takeovers })))).not.toThrow();
});

test('published figures are marked as those of others', () => {
  expect(renderHtml(emptyResults())).toContain('measured by others, on other machines');
});

test('escaping', () => {
  expect(escapeText(`<a b="c" d='e'>&amp;`)).toBe(
    '&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;',
  );
  expect(escapeText('a\u0000b\ud800c\td\ne')).toBe('a\ufffdb\ufffdc\td\ne');
});

test('the rounds of a job are one row of the log, with the median of their rates', () => {
  const run = (seconds: number, wireBytes: number) => ({
    ...{ during: 'http' as const, guestTimerHz: 0, rawBytes: 10 * wireBytes, instructions: 1e6 },
    ...{ seconds, wireBytes, nodeCpuSeconds: { primary: 1, backup: 2 } },
  });
  const idle = { ...run(5, 50), during: 'idle' as const };
  const logs = [run(1, 100), idle, run(2, 600), run(1, 900)];
  const html = renderHtml(emptyResults({ logs }));
  expect(html.match(/<th scope="row">HTTP<\/th>/g)).toHaveLength(1);
  expect(html).toMatch(/<th scope="row">HTTP<\/th><td class="number">300 B\/s<\/td>/);
  expect(html).toMatch(/<th scope="row">idle, no timer<\/th><td class="number">10 B\/s<\/td>/);
});

test('the page of an earlier version is made anew from its results', () => {
  const html = renderHtml(loadResults('bench/results/results.json'));
  expect(tagsOf(html).filter(({ name }) => name === 'svg')).toHaveLength(14);
});

test('what a chart draws can be pointed at, and is told to who does not see it', () => {
  const html = renderHtml(fullResults());
  expect(html).toContain('<desc id="takeover-1-desc">24 takeovers; medians: detect 26 ms');
  expect(html).toContain('<title>CPU-bound, protected pair: 1.38×</title>');
  expect(html).toMatch(/<desc id="outputs-1-desc">idle guest, p50: 0.8, p99: 2.6; HTTP load/);
});
