// Silences are what users notice of a takeover: each must be found with its times.
import { expect, test } from 'vitest';
import { GapWatch } from '../../src/lab/gap-watch.ts';

test('lists silences from the limit on and knows the longest', () => {
  const watch = new GapWatch(50);
  for (const atMs of [0, 10, 20, 100, 110, 160, 400, 410]) watch.saw(atMs);
  expect(watch.gaps).toEqual([
    { fromMs: 20, toMs: 100 },
    { fromMs: 110, toMs: 160 },
    { fromMs: 160, toMs: 400 },
  ]);
  expect(watch.longestMs).toBe(240);
});
