// Both nodes die at the same moment. The one that was backup comes back alone and goes on from what it had
// kept, with the guest's memory: the machine did not boot.
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WatchEvent } from '../../src/observe/control-client.ts';
import { PairUnderTest, waitFor } from './harness.ts';

let pair: PairUnderTest;
beforeEach(async () => {
  pair = await PairUnderTest.open();
});
afterEach(() => pair.close());

const restarts = (name: string) =>
  pair
    .events(name)
    .filter(
      (event): event is Extract<WatchEvent, { type: 'restarted' }> => event.type === 'restarted',
    );

test('both nodes are lost: the backup of before goes on from its newest snapshot and log', async () => {
  const store = path.join(pair.stage.dir, 'store');
  pair.configure((file) => {
    file.snapshots = { store, every: '600ms', restart: 'newest' };
  });
  const { a, b } = await pair.protect();
  const terminal = await pair.console(a);
  await waitFor('a first snapshot', () =>
    pair.events('b').some(({ type }) => type === 'snapshot') ? true : undefined,
  );
  await terminal.run('kept=in-memory-only; echo on-disk > /data/written; sync');
  // Log reaches the store once a second.
  const kept = () => pair.events('b').filter(({ type }) => type === 'snapshot').length;
  const before = kept();
  await waitFor('three more snapshots', () => (kept() >= before + 3 ? true : undefined));
  await pair.freeze(b);
  await pair.freeze(a);
  await Promise.all([a.killWithMachine(), b.killWithMachine()]);

  const again = pair.start('b');
  await pair.seen(again, 'alone');
  await waitFor('the guest', () => pair.read('/read'));
  const [restart] = restarts('b');
  expect(restart?.snapshot).toBeTruthy();
  // Nothing before the last second was lost: it ran on from where the log ends.
  expect(restart?.agoMs).toBeGreaterThan(0);
  expect(restart?.agoMs).toBeLessThan(60_000);
  const after = await pair.console(again);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the guest's shell
  expect(await after.run('echo ${kept}; cat /data/written')).toMatch(/in-memory-only\s+on-disk/);

  const other = pair.start('a');
  await pair.protectedBy(again, other);
  expect(await pair.compare(again, other)).toEqual([]);
});
