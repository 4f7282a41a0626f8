// Silences are what users notice of a takeover: the longest one must be found.
import { expect, test } from 'vitest';
import { GapWatch } from '../../src/lab/gap-watch.ts';

test('knows the longest silence', () => {
  const watch = new GapWatch();
  for (const atMs of [1000, 1010, 1020, 1100]) watch.saw(atMs);
  expect(watch.longestMs).toBe(80);
  for (const atMs of [1340, 1350]) watch.saw(atMs);
  expect(watch.longestMs).toBe(240);
});
