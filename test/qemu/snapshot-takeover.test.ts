// Snapshots cost no protection: the primary dies while cuts are kept one after the other, its backup takes
// over, and the next backup goes on keeping them in the same store.
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStore } from '../../src/store/store.ts';
import { PairUnderTest, waitFor } from './harness.ts';

let pair: PairUnderTest;
beforeEach(async () => {
  pair = await PairUnderTest.open();
});
afterEach(() => pair.close());

const kept = (name: string) =>
  pair.events(name).flatMap((event) => (event.type === 'snapshot' ? [event] : []));

test('the primary dies between two snapshots, and the pair goes on keeping them', async () => {
  const directory = path.join(pair.stage.dir, 'store');
  pair.configure((file) => {
    file.snapshots = { store: directory, every: '600ms', keep: { last: 4 } };
  });
  const { a, b } = await pair.protect();
  await waitFor('three snapshots', () => (kept('b').length >= 3 ? true : undefined));
  await a.killWithMachine();
  await pair.seen(b, 'alone');
  await pair.read('/read');
  const takeovers = pair.events('b').filter(({ type }) => type === 'takeover');
  expect(takeovers).toHaveLength(1);

  const again = pair.start('a');
  await pair.protectedBy(b, again);
  await waitFor('a snapshot by the new backup', () => (kept('a').length > 0 ? true : undefined));
  await again.stop();
  await b.stop();
  const store = await openStore({ directory, mode: 'read' });
  const { damaged, snapshots } = await store.verify();
  const runs = new Set((await store.list()).map(({ run }) => run));
  await store.close();
  expect(damaged).toEqual([]);
  expect(snapshots).toBeGreaterThan(0);
  expect(runs.size).toBeGreaterThan(0);
});
