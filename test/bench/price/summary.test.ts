import { expect, test } from 'vitest';
import type { Charges } from '../../../bench/price/charges.ts';
import { summaryOf, summaryText } from '../../../bench/price/summary.ts';

const charges = (rate: number, nodes: number): Charges => ({
  rate,
  primary: { node: nodes, machine: 0.01, disks: 0.001 },
  backup: { node: nodes, machine: 0.01, disks: 0 },
  others: 0.002,
  idle: 0.1,
  idlePageMs: 10,
});

test('a figure is the median of its rounds, and two checkouts are compared by rounds', () => {
  const rounds = {
    pair: [charges(40, 0.004), charges(60, 0.004), charges(50, 0.002)],
    against: [charges(20, 0.008), charges(30, 0.004), charges(50, 0.008)],
  };
  const { charges: medians, model, against } = summaryOf(rounds, 2);
  expect(medians.pair?.rate).toBe(50);
  expect(against?.rate).toEqual([2, 1, 2]);
  expect(against?.nodes).toEqual([0.5, 0.25, 1]);
  expect(model['one host, 2 processors']).toMatchObject({ by: 'the host', measured: 50 });
});

test('what was not measured is not told of', () => {
  const text = summaryText(summaryOf({ bare: [charges(100, 0)] }, 2));
  expect(text).toContain('plain TCG');
  expect(text).not.toContain('other checkout');
});
