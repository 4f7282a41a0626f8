// What the operator allows is what a seed takes, and no caller starves.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bandwidth } from '../../../src/node/seeding/bandwidth.ts';

/** A clock that moves when somebody waits. */
function simulated(bytesPerSecond: number, burstBytes: number) {
  let nowMs = 0;
  const bandwidth = new Bandwidth({
    bytesPerSecond,
    burstBytes,
    now: () => nowMs,
    wait: (ms) => {
      nowMs += ms;
      return Promise.resolve();
    },
  });
  return { bandwidth, now: () => nowMs, pass: (ms: number) => (nowMs += ms) };
}

describe('a bandwidth', () => {
  it('lets the burst pass at once and the rest at the rate', async () => {
    const { bandwidth, now } = simulated(1000, 500);
    await bandwidth.take(500);
    await bandwidth.take(100); // goes into debt
    expect(now()).toBe(0);
    await bandwidth.take(1);
    expect(now()).toBe(100);
  });

  it('saves no more than the burst during a pause', async () => {
    const { bandwidth, now, pass } = simulated(1000, 500);
    pass(60_000);
    for (let i = 0; i < 16; i += 1) await bandwidth.take(100);
    expect(now() - 60_000).toBe(1000);
  });

  it('never exceeds rate, burst and one piece, over any sequence', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 200 }))),
        async (steps) => {
          const { bandwidth, now, pass } = simulated(1000, 500);
          let sum = 0;
          for (const [bytes, pauseMs] of steps) {
            pass(pauseMs);
            await bandwidth.take(bytes);
            sum += bytes;
            expect(sum).toBeLessThanOrEqual(now() + 500 + bytes);
          }
        },
      ),
    );
  });

  it('a closed link: whoever waits is told', async () => {
    const bandwidth = new Bandwidth({ bytesPerSecond: 1, burstBytes: 1 });
    const closed = new AbortController();
    await bandwidth.take(100);
    const waiting = bandwidth.take(1, closed.signal);
    closed.abort();
    await expect(waiting).rejects.toThrow();
  });

  it('without a bound nobody waits', async () => {
    const { bandwidth, now } = simulated(Number.POSITIVE_INFINITY, 1);
    for (let i = 0; i < 10; i += 1) await bandwidth.take(1e9);
    expect(now()).toBe(0);
  });
});
