// The benchmark's own machinery, in its shortest form: the same guest by plain TCG, and a log that
// is recorded alone and replayed alone.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JobSizes } from '../../src/bench/measure/jobs.ts';
import { measureReplay } from '../../src/bench/measure/replay-speed.ts';
import { Session } from '../../src/bench/measure/session.ts';
import { measureSlowdown } from '../../src/bench/measure/slowdown.ts';
import { jobs } from '../../src/bench/results.ts';
import { openWorld } from '../../src/lab/open-world.ts';
import type { World } from '../../src/lab/world.ts';

const sizes: JobSizes = {
  cpu: 1,
  fork: 1,
  diskread: 2,
  diskwrite: 2,
  syncwrite: 2,
  http: 8,
  mixed: 1,
};

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

test('every job is done by plain TCG, and its log is replayed', async () => {
  const session = new Session({
    world,
    memoryBytes: 128 << 20,
    expectedMs: 60_000,
    tell: () => undefined,
    status: () => undefined,
  });
  await measureSlowdown(session, 0, ['bare'], sizes);
  await measureReplay(session, 1, sizes);
  const { results } = session;
  expect(results.gaps).toEqual([]);
  expect(results.jobRuns.map(({ job }) => job)).toEqual([...jobs]);
  expect(results.replays.map(({ during }) => during)).toEqual(['boot', ...jobs]);
  for (const { recordMs, replayMs } of results.replays) {
    expect(recordMs).toBeGreaterThan(0);
    expect(replayMs).toBeGreaterThan(0);
  }
});
