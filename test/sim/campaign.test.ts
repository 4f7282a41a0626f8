/**
 * The simulator itself: no seed fails, the same seed is the same run, and every mutant is caught.
 */
import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hunt, mutantSeeds, runCampaign } from '../../sim/campaign.ts';
import { runIncident } from '../../sim/incident.ts';
import { mutants } from '../../sim/mutants.ts';

function* range(from: number, count: number): Generator<number> {
  for (let seed = from; seed < from + count; seed += 1) yield seed;
}

describe('the simulator', () => {
  it('fixed seeds: no checker objects, and there is something to check', () => {
    const { failures, takeovers, words } = runCampaign(range(1, 100));
    expect(failures.map(({ seed, message }) => `${seed}: ${message}`)).toEqual([]);
    expect(takeovers).toBeGreaterThan(100);
    expect(words).toBeGreaterThan(10_000);
  });

  it('fresh seeds: no checker objects', () => {
    // A failure names its seed; `npm run sim -- --seed S` shows it again.
    const { failures } = runCampaign(range(randomInt(2 ** 31), 100));
    expect(failures.map(({ seed, message }) => `${seed}: ${message}`)).toEqual([]);
  });

  it('same seed, same run', () => {
    expect(runIncident({ seed: 42 })).toEqual(runIncident({ seed: 42 }));
  });
});

describe(`a broken rule is caught within ${mutantSeeds} seeds`, () => {
  for (const mutant of mutants) {
    it(`${mutant.rule}: ${mutant.what}`, () => {
      expect(hunt(mutant).caughtAtSeed).toBeDefined();
    });
  }
});
