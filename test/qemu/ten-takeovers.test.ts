// Ten takeovers to and fro in one run, over a real network and under load. After each of them the
// guest's counter and ledger are whole, and the killed node protects the machine again.
import { expect, test } from 'vitest';
import { Distribution } from '../../src/base/distribution.ts';
import { patientMs } from './harness/pair.ts';
import { Ordeal } from './hosts/ordeal.ts';
import { sharedPair } from './hosts/shared-pair.ts';

// Each takeover here is one that was made: silence is not what this counts.
const thePair = sharedPair({ silenceMs: patientMs });
const ROUNDS = 10;

test('ten takeovers to and fro', { timeout: 1_800_000 }, async () => {
  const pair = thePair();
  const ordeal = await Ordeal.begin(pair);
  const takeoverMs = new Distribution();
  const reprotectMs = new Distribution();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const { primary, backup } = await pair.protection();
    const takeover = backup.next((event) => event.type === 'takeover');
    const killedAt = await primary.killWithMachine();
    const { runningAt } = await takeover;
    takeoverMs.add(runningAt - killedAt);
    await ordeal.answers();
    await ordeal.checkFiles();
    const startedAt = performance.now();
    pair.start(primary.name);
    await pair.protection();
    reprotectMs.add(performance.now() - startedAt);
  }
  const verdict = await ordeal.end();
  expect(await ordeal.speakers()).toHaveLength(ROUNDS + 1);
  console.log(
    `takeover p50 ${takeoverMs.p(0.5).toFixed(0)} ms, max ${takeoverMs.max.toFixed(0)} ms; ` +
      `protected again p50 ${(reprotectMs.p(0.5) / 1000).toFixed(1)} s, ` +
      `max ${(reprotectMs.max / 1000).toFixed(1)} s; ` +
      `longest silence for the clients ${verdict.longestGapMs.toFixed(0)} ms`,
  );
});
