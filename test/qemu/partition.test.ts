// Two hosts that no longer hear each other, evenly or not, while both reach the arbiter. However it
// is cut, one node goes on and the other one falls silent, and the guest's clients lose nothing.
import { expect, test } from 'vitest';
import { Ordeal } from './hosts/ordeal.ts';
import type { PairOnHosts } from './hosts/pair-on-hosts.ts';
import { sharedPair } from './hosts/shared-pair.ts';

// Silence is judged patiently: two busy processors hold a cable up for 300 ms now and then, and a
// takeover because of that would be one speaker more than the test is about.
const thePair = sharedPair({ silenceMs: 1000 });

/** Cuts while the guest works, sees one node go on, mends, and sees both protect it again. */
async function outlive(pair: PairOnHosts, cut: () => Promise<void>): Promise<void> {
  const ordeal = await Ordeal.begin(pair);
  const termsBefore = pair.terms().length;
  await cut();
  await ordeal.answers(100);
  // One term more, and whoever lost it was not given another one.
  const holders = pair.terms();
  expect(holders).toHaveLength(termsBefore + 1);
  const speakers = await ordeal.speakers();
  expect(speakers.length, await pair.speakersInTime()).toBeLessThanOrEqual(2);
  expect(speakers.at(-1)).toBe(holders.at(-1));
  await pair.network.heal();
  await pair.protection();
  await ordeal.answers();
  await ordeal.end();
}

test('the cable between the nodes is cut', async () => {
  const pair = thePair();
  await outlive(pair, () => pair.network.impairBoth('a', 'b', { isCut: true }));
});

test('the backup hears nothing of the primary, which hears it', async () => {
  const pair = thePair();
  const { primary, backup } = await pair.protection();
  await outlive(pair, () => pair.network.impair(primary.name, backup.name, { isCut: true }));
});

test('the primary hears nothing of the backup, which hears it', async () => {
  const pair = thePair();
  const { primary, backup } = await pair.protection();
  await outlive(pair, () => pair.network.impair(backup.name, primary.name, { isCut: true }));
});
