// The primary is slowed down for a spool that fills, in good time and never to a stop.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { spoolShare } from '../../src/core/flow-control.ts';

describe('the share of time that a spool asks for', () => {
  it('is nothing up to a half, and the most that may be before the spool is full', () => {
    expect(spoolShare(50, 100)).toBe(0);
    expect(spoolShare(70, 100)).toBeCloseTo(limits.throttleShareMax / 2);
    expect(spoolShare(95, 100)).toBe(limits.throttleShareMax);
    expect(spoolShare(0, 0)).toBe(0);
  });

  it('never falls when more is used', () => {
    const used = fc.nat(200);
    fc.assert(
      fc.property(used, used, (a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        expect(spoolShare(less, 100)).toBeLessThanOrEqual(spoolShare(more, 100));
      }),
    );
  });
});
