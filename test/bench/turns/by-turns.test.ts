import { expect, test } from 'vitest';
import { byTurns, chosen, ratioOf } from '../../../bench/turns/by-turns.ts';
import type { World } from '../../../src/lab/world.ts';
import { Progress } from '../../../src/text/progress.ts';

test('each arrangement is measured in each round, in an order that turns', async () => {
  const order: string[] = [];
  const turns = (['a', 'b', 'c'] as const).map((name) => ({
    ...{ name, title: name },
    measure: async () => order.push(name),
  }));
  const said: string[] = [];
  const progress = new Progress({ write: (text) => said.push(text) });
  const world = {} as World;
  const found = await byTurns(turns, 2, { world, progress, describe: String });
  expect(order.join('')).toBe('abcbca');
  expect(found).toEqual({ a: [1, 6], b: [2, 4], c: [3, 5] });
  expect(said.join('')).toContain('c: 5');
});

test('two arrangements are compared round by round', () => {
  expect(ratioOf([40, 60, 50], [20, 30, 50], (found) => found)).toEqual([2, 1, 2]);
});

test('only arrangements that can be measured can be asked for', () => {
  const turns = (['bare', 'pair'] as const).map((name) => ({
    ...{ name, title: name },
    measure: async () => 0,
  }));
  expect(chosen(turns, [])).toEqual(turns);
  expect(chosen(turns, ['pair'])).toEqual([turns[1]]);
  expect(() => chosen(turns, ['moon'])).toThrow('--only must be one of bare, pair');
  // Without another checkout there is none to be against.
  expect(() => chosen(turns, ['pair', 'against'])).toThrow("current value is 'against'");
});
