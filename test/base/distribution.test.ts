// Percentiles must be values that were measured, exact while they can be, and bounded for ever.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Distribution } from '../../src/base/distribution.ts';

test('is exact up to its size', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1 }), (values) => {
      const distribution = new Distribution();
      for (const value of values) distribution.add(value);
      const sorted = [...values].sort((a, b) => a - b);
      expect(distribution.p(0.5)).toBe(sorted[Math.ceil(sorted.length / 2) - 1]);
      expect(distribution.p(0)).toBe(sorted[0]);
      expect(distribution.p(1)).toBe(distribution.max);
      expect(distribution.max).toBe(sorted.at(-1));
      expect(distribution.min).toBe(sorted[0]);
      expect(distribution.count).toBe(values.length);
    }),
  );
});

test('past its size it is close, and never forgets the greatest', () => {
  const distribution = new Distribution(1000);
  for (let value = 1; value <= 100_000; value += 1) distribution.add(value);
  expect(distribution.max).toBe(100_000);
  expect(distribution.mean).toBe(50_000.5);
  expect(distribution.p(0.5)).toBeGreaterThan(44_000);
  expect(distribution.p(0.5)).toBeLessThan(56_000);
  expect(distribution.p(0.99)).toBeGreaterThan(97_000);
});

test('an empty one is all zeros', () => {
  const empty = new Distribution();
  expect([empty.p(0.5), empty.min, empty.max, empty.mean, empty.count]).toEqual([0, 0, 0, 0, 0]);
});
