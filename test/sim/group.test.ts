/** Groups: no set has an orphan, and every broken rule is caught. */
import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { groupMutantSeeds, huntGroup, runGroups } from '../../sim/group/campaign.ts';
import { groupMutants } from '../../sim/group/mutants.ts';

const range = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => from + index);

describe('a group of three pairs', () => {
  it('fixed seeds: no set has an orphan, and there are sets', () => {
    const { failures, sets, takeovers } = runGroups(range(1, 20));
    expect(failures.map(({ seed, failure }) => ({ seed, failure }))).toEqual([]);
    expect(sets).toBeGreaterThan(150);
    expect(takeovers).toBeGreaterThan(20);
  });

  it('fresh seeds: no set has an orphan', () => {
    // A failure names its seed; `npm run sim -- group --seed S` shows it again.
    const { failures } = runGroups(range(randomInt(2 ** 31), 20));
    expect(failures.map(({ seed, failure }) => ({ seed, failure }))).toEqual([]);
  });

  it('same seed, same run', () => {
    expect(runGroups([42])).toEqual(runGroups([42]));
  });
});

describe(`a broken rule of groups is caught within ${groupMutantSeeds} seeds`, () => {
  for (const mutant of groupMutants) {
    it(`${mutant.rule}: ${mutant.what}`, () => {
      expect(huntGroup(mutant).caughtAtSeed).toBeDefined();
    });
  }
});
