import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { hasEnded, parseProcStat } from '../../src/base/proc-stat.ts';

const rest =
  'S 1 2 2 0 -1 4 5 6 7 8 120 30 9 9 20 0 3 0 4711 1 2 3 4 5 6 7 8 9 0 0 0 0 0 0 17 5 0 0';

it('reads the fields, whatever the name is', () => {
  // Goal: a name may hold spaces and parentheses.
  for (const name of ['qemu', 'a b', ') R 1 (']) {
    const stat = parseProcStat(`12 (${name}) ${rest}\n`);
    expect(stat).toEqual({
      ...{ state: 'S', parent: 1, startTime: '4711', cpuTicks: 150, processor: 5 },
    });
  }
});

it('knows what has ended, and a text that is not whole', () => {
  // Goal: a zombie is not alive, and nothing is read out of nothing.
  const zombie = parseProcStat(`12 (sh) ${rest.replace('S', 'Z')}`);
  expect(zombie !== undefined && hasEnded(zombie)).toBe(true);
  expect(parseProcStat('')).toBeUndefined();
  expect(parseProcStat('12 (sh) S 1')).toBeUndefined();
});

it('agrees with the kernel about ourselves', () => {
  // Goal: the numbers of the fields are right.
  const stat = parseProcStat(readFileSync('/proc/self/stat', 'latin1'));
  const { user, system } = process.cpuUsage();
  expect(stat?.cpuTicks).toBeGreaterThan(0);
  expect(Math.abs((stat?.cpuTicks ?? 0) - (user + system) / 10_000)).toBeLessThan(20);
  expect(stat?.state).toBe('R');
});
