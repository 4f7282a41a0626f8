/** A node that ends is started again, later and later, and not for ever. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RestartPolicy } from '../../../src/controller/decisions/restart-policy.ts';
import { controllerLimits } from '../../../src/controller/limits.ts';

const { restartMsMin, restartMsMax, restartsMax, restartWindowMs } = controllerLimits;

describe('when a node that has ended is started again', () => {
  it('not when somebody wished the end, and not when its file is wrong (1)', () => {
    const policy = new RestartPolicy();
    expect(policy.judge({ code: 0 }, 0)).toEqual({ verdict: 'rest' });
    expect(policy.judge({ code: 2 }, 0)).toEqual({ verdict: 'refuse' });
  });

  it('after twice the delay each time, up to the largest; then it is given up (2, 3)', () => {
    const policy = new RestartPolicy();
    const delays: number[] = [];
    let nowMs = 0;
    for (;;) {
      const judged = policy.judge({ code: undefined }, nowMs);
      if (judged.verdict !== 'restart') break;
      delays.push(judged.afterMs);
      nowMs += judged.afterMs;
      policy.restarted(nowMs);
    }
    expect(delays.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * restartMsMin));
    expect(delays.at(-1)).toBe(restartMsMax);
    expect(delays).toHaveLength(restartsMax);
    expect(policy.judge({ code: 1 }, nowMs)).toEqual({ verdict: 'giveUp' });
    expect(policy.total).toBe(restartsMax);
  });

  it('what is long ago does not count, nor what was forgiven', () => {
    const policy = new RestartPolicy();
    for (let count = 0; count < restartsMax; count += 1) policy.restarted(count);
    expect(policy.judge({ code: 1 }, restartsMax)).toEqual({ verdict: 'giveUp' });
    const first = { verdict: 'restart', afterMs: restartMsMin };
    expect(policy.judge({ code: 1 }, restartsMax + restartWindowMs)).toEqual(first);
    policy.forgive();
    expect(policy.judge({ code: 1 }, restartsMax)).toEqual(first);
  });

  it('however a node ends: never sooner or later than bounds say, never too often', () => {
    const ends = fc.array(fc.tuple(fc.constantFrom(1, 3, undefined), fc.nat(400_000)), {
      maxLength: 100,
    });
    fc.assert(
      fc.property(ends, (lives) => {
        const policy = new RestartPolicy();
        const restarts: number[] = [];
        let nowMs = 0;
        for (const [code, livedMs] of lives) {
          nowMs += livedMs;
          const judged = policy.judge({ code }, nowMs);
          if (judged.verdict !== 'restart') {
            expect(judged.verdict).toBe('giveUp');
            policy.forgive();
            restarts.length = 0;
            continue;
          }
          expect(judged.afterMs).toBeGreaterThanOrEqual(restartMsMin);
          expect(judged.afterMs).toBeLessThanOrEqual(restartMsMax);
          nowMs += judged.afterMs;
          policy.restarted(nowMs);
          restarts.push(nowMs);
          const within = restarts.filter((at) => nowMs - at < restartWindowMs);
          expect(within.length).toBeLessThanOrEqual(restartsMax);
        }
      }),
    );
  });
});
