import { describe, expect, test } from 'vitest';
import { type Demand, oneHost, twoHosts } from '../../../bench/price/model.ts';

/** Milliseconds. */
const demand = (node: number, machine: number, disks = 0): Demand => ({
  node: node / 1000,
  machine: machine / 1000,
  disks: disks / 1000,
});

describe('what a pair would serve', () => {
  test('on one host all that is done for a request shares its processors', () => {
    const bound = oneHost(demand(5, 10, 1), demand(4, 10), 0.01, 2);
    expect(bound.by).toBe('the host');
    expect(bound.rate).toBeCloseTo(2 / 0.04);
  });

  test('two hosts are bound by the one that has more to do', () => {
    const bound = twoHosts(demand(5, 10, 5), demand(2, 10), 1);
    expect(bound.by).toBe("the primary's host");
    expect(bound.rate).toBeCloseTo(50);
  });

  test('a process is no faster on more processors', () => {
    const bound = twoHosts(demand(5, 10), demand(2, 20), 16);
    expect(bound.by).toBe("the backup's QEMU");
    expect(bound.rate).toBeCloseTo(50);
  });
});
