// Ten seconds of fuzzing in every run of the tests, half of them with a seed that was never used
// before; and the fuzzer itself must find what it is for, and find it again.
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { fuzz } from './fuzz.ts';
import type { Random } from './random.ts';
import { type FuzzTarget, refusable } from './target.ts';

const forMs = 5_000;

describe('five seconds of anything on the wire', () => {
  it.each([
    ['the same every time', 20_250_101],
    ['new', Date.now() % 2 ** 31],
  ])('seed %s (%i): nothing but links and refusals', async (_, seed) => {
    const { found, executions } = await fuzz({ seed, forMs });
    expect(found).toBeUndefined();
    for (const [target, count] of Object.entries(executions)) {
      // Each had its turns; how many is a matter of the machine, and of what else runs on it.
      expect(count, target).toBeGreaterThan(0);
    }
  });
});

describe('the fuzzer finds', () => {
  const seed = 7;

  const target = (play: (random: Random) => Promise<void> | undefined): FuzzTarget => ({
    name: 'broken',
    batch: 10,
    play: (random, trace) => {
      trace(Buffer.from('sent'));
      return play(random);
    },
  });

  it.each([
    ['an error that is no refusal', () => refusable(() => raise(new TypeError('a bug')))],
    ['a promise that rejects', () => Promise.reject(new Error('a bug'))],
  ])('%s, and again from its number', async (_, fail) => {
    const broken = target((random) => {
      if (!random.chance(0.01)) return undefined;
      return fail() as Promise<void> | undefined;
    });
    const { found } = await fuzz({ seed, forMs, targets: [broken] });
    expect(found).toMatchObject({
      target: 'broken',
      seed,
      problem: expect.stringContaining('bug'),
    });
    if (found === undefined) return;
    const from = found.case - (found.case % 10);
    const again = await fuzz({ seed, forMs, targets: [broken], from, cases: 10 });
    expect(again.found?.problem).toContain('a bug');
  });

  it('no fault in a refusal', async () => {
    const refuses = target(() => {
      refusable(() => raise(new UnderstudyError('link', 'no')));
      return undefined;
    });
    const { found, executions } = await fuzz({ seed, forMs, targets: [refuses], cases: 100 });
    expect([found, executions]).toEqual([undefined, { broken: 100 }]);
  });
});

function raise(error: Error): never {
  throw error;
}
