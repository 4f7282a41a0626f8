// The queue must give out each output once, in order, exactly as far as the gate says.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Output, OutputQueue } from '../../../src/node/machine/output-queue.ts';

const output = (number: number): Output => ({
  channel: number % 3 === 0 ? { kind: 'serial', index: 0 } : { kind: 'nic', index: number % 3 },
  bytes: Buffer.from([number & 255]),
  arrivedAt: number,
});

it('gives everything once and in order, however it is taken', () => {
  // Goal: also across the point where it forgets what was taken.
  const moves = fc.array(fc.tuple(fc.nat({ max: 700 }), fc.nat({ max: 1000 })), { maxLength: 20 });
  fc.assert(
    fc.property(moves, (steps) => {
      const queue = new OutputQueue();
      let [pushed, taken] = [0, 0];
      for (const [push, share] of steps) {
        for (let i = 0; i < push; i += 1) {
          pushed += 1;
          queue.push(output(pushed));
        }
        const through = taken + Math.floor(((pushed - taken) * share) / 1000);
        const got = queue.take(through).map(({ arrivedAt }) => arrivedAt);
        expect(got).toEqual(Array.from({ length: through - taken }, (_, i) => taken + i + 1));
        taken = through;
        expect(queue.length).toBe(pushed - taken);
      }
    }),
  );
});

it('gate and queue disagree: it throws instead of sending something else', () => {
  const queue = new OutputQueue();
  queue.push(output(1));
  queue.push(output(2));
  expect(() => queue.take(3)).toThrow('output 3 was released, but only 2 of 3 wait');
  queue.take(2);
  expect(() => queue.take(1)).toThrow('output 1');
});
