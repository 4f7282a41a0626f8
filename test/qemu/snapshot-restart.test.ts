// Both nodes die at the same moment. The one that was backup comes back alone and goes on from what
// it had kept, with the guest's memory: the machine did not boot. With `ack: durable` nothing is
// missing.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { judge } from '../../src/lab/judge.ts';
import { LoadProcess } from '../../src/lab/load-process.ts';
import type { LoadStats } from '../../src/lab/load-record.ts';
import type { WatchEvent } from '../../src/observe/control-client.ts';
import { openStore } from '../../src/store/store.ts';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor } from './harness/wait.ts';

let pair: PairUnderTest;
beforeEach(async () => {
  pair = await PairUnderTest.open();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
  await pair.close();
});

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
  const writtenAt = Date.now();
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
  // It ran on from where the log ends, which is behind the snapshots that were kept since.
  expect(restart?.agoMs).toBeGreaterThan(0);
  expect(restart?.agoMs).toBeLessThan(Date.now() - writtenAt);
  expect(restart?.complete).toBe(false);
  const after = await pair.console(again);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the guest's shell
  expect(await after.run('echo ${kept}; cat /data/written')).toMatch(/in-memory-only\s+on-disk/);

  const other = pair.start('a');
  await pair.protectedBy(again, other);
  expect(await pair.compare(again, other)).toEqual([]);
});

/** Where the log ends that the store has behind its newest snapshot. */
async function keptEnd(directory: string) {
  const store = await openStore({ directory, mode: 'read' });
  const snapshot = (await store.list()).at(-1);
  const pieces = snapshot === undefined ? [] : await store.log.list(snapshot);
  await store.close();
  const { toTimeMs: ms, toIcount: icount } = pieces.at(-1) ?? {};
  if (snapshot === undefined || ms === undefined) throw new Error('nothing was kept');
  return { snapshot: snapshot.id, ms, icount };
}

test('both nodes are lost with `ack: durable`: all that was ever answered is still there', async () => {
  const store = path.join(pair.stage.dir, 'store');
  const durable = fs.mkdtempSync('/var/tmp/understudy-qemu-test-'); // on a disk, unlike /tmp here and there
  try {
    pair.configure((file) => {
      file.ack = 'durable';
      file.snapshots = { store, every: '4s', restart: 'newest' };
      for (const node of Object.values(file.nodes)) node.durableLogDir = durable;
    });
    const { a, b } = await pair.protect();
    await waitFor('a first snapshot', () =>
      pair.events('b').some(({ type }) => type === 'snapshot') ? true : undefined,
    );
    // A cut in the log, at which the machine is loaded anew.
    expect(await pair.compare(a, b)).toEqual([]);
    const stats: LoadStats[] = [];
    const counted = () => stats.at(-1)?.countersAcknowledged ?? 0;
    const load = new LoadProcess(pair.world, {
      ...{ runName: 'lost', readers: 0, counters: 2 },
      onStats: (latest) => stats.push(latest),
    });
    let seenText = '';
    let isLost = false;
    const watching = (async () => {
      while (!isLost) seenText = await pair.read('/ledger').catch(() => seenText);
    })();
    await waitFor('answers', () => (counted() > 10 && seenText !== '' ? true : undefined));
    // Both stand still at a moment when clients were told more than the store has: a piece of log
    // reaches it once a second, and how much is told in between is this machine's affair.
    for (;;) {
      const kept = await keptEnd(store);
      const isAhead = (): boolean => {
        const behind = stats.filter(({ atMs }) => atMs > kept.ms + 100);
        return counted() > (behind[0]?.countersAcknowledged ?? Number.POSITIVE_INFINITY);
      };
      await waitFor('answers behind the stored log', () => isAhead() || undefined);
      const goOn = [await pair.freeze(b), await pair.freeze(a)];
      if ((await keptEnd(store)).ms === kept.ms) break;
      for (const go of goOn.reverse()) await go();
      await pair.protectedBy(a, b);
    }
    isLost = true;
    const [lostAt] = await Promise.all([a.killWithMachine(), b.killWithMachine()]);
    const ending = load.stop(); // what is under way may be answered yet
    const kept = await keptEnd(store);

    // The node that was primary has less of the log, and leaves it to the other one to go on.
    const first = pair.start('a');
    await first.until('waiting');
    await sleep(limits.ownTermWaitMs + 1_000);
    expect(await first.status()).toMatchObject({
      state: 'waiting',
      reason: 'looking for the peer, which may have more of the log: for at most 60 s',
    });
    const again = pair.start('b');
    await pair.seen(again, 'alone');
    await waitFor('the guest', () => pair.read('/read'));
    const [record] = await Promise.all([ending, watching]);
    const [restart] = restarts('b');
    expect(restart).toMatchObject({ snapshot: kept.snapshot, complete: true });
    expect(restarts('a')).toEqual([]);
    const report = judge({
      ledger: await pair.read('/ledger'),
      journal: await pair.read('/counter.log'),
      load: record,
      seen: { seenText },
    });
    expect(report).toMatchObject({ lostLedgerLines: 0, findings: [] });
    expect(report).toMatchObject({ lostCounterValues: 0, doubledCounterValues: 0 });
    // The store alone would not have been enough.
    expect(restart?.icount).toBeGreaterThan(kept.icount ?? 0);
    const before = record.acknowledged.findLast(({ atMs }) => atMs < lostAt);
    expect(before?.atMs).toBeGreaterThan(kept.ms + 100);
    expect(seenText.split('\n').length).toBeGreaterThan(10);
    // What is told from here on is another history.
    expect(fs.readdirSync(durable).filter((name) => name.includes('-b.'))).toEqual([]);
    await pair.protectedBy(again, first);
  } finally {
    fs.rmSync(durable, { recursive: true, force: true });
  }
});
