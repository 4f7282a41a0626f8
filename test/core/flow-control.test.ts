// Goal: the primary runs freely while its backup follows, and never stands still altogether.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { throttleShare } from '../../src/core/flow-control.ts';

test('a backup within the soft bound costs nothing', () => {
  expect(throttleShare(0)).toBe(0);
  expect(throttleShare(limits.softLagMs)).toBe(0);
});

test('a backup far behind gets all that may be given', () => {
  expect(throttleShare(limits.fullThrottleLagMs)).toBe(limits.throttleShareMax);
  expect(throttleShare(60_000)).toBe(limits.throttleShareMax);
  expect(limits.throttleShareMax).toBeLessThan(1);
});

test('more lag never means less throttling', () => {
  const lag = fc.double({ min: 0, max: 100_000, noNaN: true });
  fc.assert(
    fc.property(lag, lag, (a, b) => {
      const [less, more] = a < b ? [a, b] : [b, a];
      expect(throttleShare(more)).toBeGreaterThanOrEqual(throttleShare(less));
    }),
  );
});
