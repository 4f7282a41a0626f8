/** The fleet on paper: plausible, and the same each time. */
import { describe, expect, it } from 'vitest';
import { figures } from '../../sim/fleet/figures.ts';
import { runFleet } from '../../sim/fleet/fleet.ts';

describe('the fleet', () => {
  const options = { pairs: 300, years: 5, seed: 3, roundTripMs: 30 };
  const [single, restart, fast, pair] = runFleet(options);

  it('pairs are down less than restarted machines, those less than single hosts', () => {
    const down = [single, restart, fast, pair].map((line) => line?.downMinutesAYear ?? Number.NaN);
    expect(down).toEqual([...down].sort((a, b) => b - a));
  });

  it('a pair loses no output and rarely its RAM, and pays with a delay', () => {
    expect(pair?.lostOutputs).toBe(0);
    expect(pair?.restartsAYear).toBeLessThan((single?.restartsAYear ?? 0) / 50);
    expect(pair?.outputDelayMs).toBe(figures.holdMs.value + 30);
  });

  it('is a function of its seed', () => {
    expect(runFleet(options)).toEqual(runFleet(options));
  });
});
