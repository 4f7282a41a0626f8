// A busy machine: two programs that only compute take the processors from a pair under load. The
// primary is killed, the backup goes on, and nothing that was promised is lost.
import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { judge } from '../../src/lab/judge.ts';
import type { LoadStats } from '../../src/lab/load-record.ts';
import { PairUnderTest } from './harness/pair.ts';
import { waitForCount } from './harness/wait.ts';

let pair: PairUnderTest;
const hogs: ChildProcess[] = [];
beforeEach(async () => {
  pair = await PairUnderTest.open();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
  for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
  await pair.close();
});

test('the primary is killed while two hogs compute', async () => {
  const { a, b } = await pair.protect();
  let stats: LoadStats | undefined;
  const load = pair.load((latest) => {
    stats = latest;
  });
  const answered = (): number => stats?.requestsOk ?? 0;
  await waitForCount('answers', answered, 21);
  for (let hog = 0; hog < 2; hog += 1) {
    hogs.push(spawn(process.execPath, ['-e', 'for(;;);'], { stdio: 'ignore' }));
  }
  const beside = answered();
  await waitForCount('answers beside the hogs', answered, beside + 201);
  // A copy that was given up under this load is back before the kill: that is not what is tested.
  await pair.protectedBy(a, b);
  const seenText = await pair.read('/ledger');
  const takeover = b.next((event): event is typeof event => event.type === 'takeover');
  await a.killWithMachine();
  await takeover;
  const after = answered();
  await waitForCount('answers after the takeover', answered, after + 101);

  const record = await load.stop();
  const verdict = judge({
    ledger: await pair.read('/ledger'),
    journal: await pair.read('/counter.log'),
    load: record,
    seen: { seenText },
  });
  expect(verdict.findings).toEqual([]);
  expect(verdict.failures).toEqual([]);
  expect(verdict).toMatchObject({
    failedRequests: 0,
    lostLedgerLines: 0,
    lostCounterValues: 0,
    doubledCounterValues: 0,
    lostEchoLines: 0,
    doubledEchoLines: 0,
    echoBroken: null,
  });
  expect(verdict.acknowledgedCounterValues).toBeGreaterThan(0);
});
