import { expect, test } from 'vitest';
import { byTurns, ratioOf } from '../../../bench/turns/by-turns.ts';
import { Progress } from '../../../src/text/progress.ts';

test('each arrangement is measured in each round, in an order that turns', async () => {
  const order: string[] = [];
  const turns = (['a', 'b', 'c'] as const).map((name) => ({
    ...{ name, title: name },
    measure: async () => order.push(name),
  }));
  const said: string[] = [];
  const progress = new Progress({ write: (text) => said.push(text) });
  const found = await byTurns(turns, 2, progress, String);
  expect(order.join('')).toBe('abcbca');
  expect(found).toEqual({ a: [1, 6], b: [2, 4], c: [3, 5] });
  expect(said.join('')).toContain('c: 5');
});

test('two arrangements are compared round by round', () => {
  expect(ratioOf([40, 60, 50], [20, 30, 50], (found) => found)).toEqual([2, 1, 2]);
});
