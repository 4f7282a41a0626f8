// What two hosts can suffer, one thing after the other, on one pair: a link that is cut, evenly or
// not; processes that hang; both nodes ending, in order or not. One node goes on and the other one
// falls silent, and the guest's clients lose nothing that they were promised.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { SpokenTerm } from '../../src/node/spoken.ts';
import { waitFor } from './harness/wait.ts';
import { Ordeal } from './hosts/ordeal.ts';
import type { PairOnHosts } from './hosts/pair-on-hosts.ts';
import { sharedPair } from './hosts/shared-pair.ts';

// Silence is judged patiently: busy processors hold a cable up for a second now and then, and a
// takeover because of that would be one speaker more than a test is about.
const silenceMs = 3000;
const thePair = sharedPair({ silenceMs });

/** A term for who went on, two for a takeover, and none for the other one. */
function oneWon(holders: readonly string[]): void {
  expect(new Set(holders).size, holders.join(' ')).toBe(1);
  expect(holders.length, holders.join(' ')).toBeLessThanOrEqual(2);
}

/** Cuts while the guest works, sees one node go on, mends, and sees both protect it again. */
async function outlive(pair: PairOnHosts, cut: () => Promise<void>): Promise<void> {
  const ordeal = await Ordeal.begin(pair);
  const termsBefore = pair.terms().length;
  await cut();
  await ordeal.answers(100);
  const holders = pair.terms();
  oneWon(holders.slice(termsBefore));
  const speakers = await ordeal.speakers();
  expect(speakers.length, await pair.speakersInTime()).toBeLessThanOrEqual(2);
  expect(speakers.at(-1)).toBe(holders.at(-1));
  await pair.network.heal();
  await pair.protection();
  await ordeal.answers();
  await ordeal.end();
}

// Two hosts that no longer hear each other, while both reach the arbiter.
describe('partition', () => {
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
});

// Processes that hang with their connections open, which is what a stuck host looks like.
describe('frozen', () => {
  test('the arbiter hangs, then the cable is cut, then the arbiter goes on', async () => {
    const pair = thePair();
    const ordeal = await Ordeal.begin(pair);
    const termsBefore = pair.terms();
    await pair.witness.freeze();
    await ordeal.answers(100); // a protected pair needs no arbiter
    await pair.network.impairBoth('a', 'b', { isCut: true });
    // What was acknowledged leaves yet, and both notice; then nobody speaks.
    let framesBefore: number;
    do {
      framesBefore = await pair.framesSeen();
      await sleep(silenceMs);
    } while ((await pair.framesSeen()) > framesBefore);
    await sleep(2000);
    expect(await pair.framesSeen()).toBe(framesBefore);
    expect(pair.terms()).toEqual(termsBefore);
    pair.witness.thaw();
    await ordeal.answers(100);
    oneWon(pair.terms().slice(termsBefore.length));
    expect((await ordeal.speakers()).length).toBeLessThanOrEqual(2);
    await pair.network.heal();
    await pair.protection();
    await ordeal.answers();
    await ordeal.end();
  });

  test("the primary's node stands still for 5 s and goes on", async () => {
    const pair = thePair();
    const { primary, backup } = await pair.protection();
    const ordeal = await Ordeal.begin(pair);
    const lives = pair.events(primary.name).length;
    const takeover = backup.next((event) => event.type === 'takeover');
    const goOn = await pair.freeze(primary);
    await Promise.all([takeover, sleep(5000)]);
    await ordeal.answers();
    expect(await ordeal.speakers()).toEqual([primary.name, backup.name]);
    await goOn();
    await waitFor(
      'the old primary to give its machine up',
      () =>
        pair
          .events(primary.name)
          .slice(lives)
          .some((event) => event.type === 'ended' && event.outcome === 'termLost') || undefined,
    );
    // It rejoins as the backup, and has said nothing: the world heard one change of speakers.
    const roles = await pair.protection();
    expect(roles.primary.name).toBe(backup.name);
    await ordeal.answers();
    expect(await ordeal.speakers()).toEqual([primary.name, backup.name]);
    await ordeal.end();
  });
});

/** The second node is started so much later: the first one has looked around by then. */
const APART_MS = 1500;

async function restartBoth(
  pair: PairOnHosts,
  end: (node: NodeProcess) => Promise<unknown>,
  firstIs: 'newest' | 'oldest',
): Promise<void> {
  const ordeal = await Ordeal.begin(pair);
  await Promise.all(['a', 'b'].map((name) => end(pair.node(name))));
  // Not the holder of the last term: who is told to end may have won it and not spoken any more.
  const newest = spokenIn(pair, 'a') > spokenIn(pair, 'b') ? 'a' : 'b';
  const oldest = newest === 'a' ? 'b' : 'a';
  const known = new Map(['a', 'b'].map((name) => [name, pair.events(name).length]));
  const [first, second] = firstIs === 'newest' ? [newest, oldest] : [oldest, newest];
  pair.start(first);
  await sleep(APART_MS);
  pair.start(second);
  const { primary } = await pair.protection();
  expect(primary.name).toBe(newest);
  const since = (name: string) => pair.events(name).slice(known.get(name));
  // The other one never had a machine of its own.
  expect(since(oldest)).not.toContainEqual(expect.objectContaining({ role: 'primary' }));
  await ordeal.endAfterReboot();
}

/** The last term in which a node's machine spoke, as it remembers it. */
function spokenIn(pair: PairOnHosts, name: string): number {
  const config = loadPairConfig(pair.stage.pairFile, name);
  return SpokenTerm.load(`${config.self.stateDir}/${config.pair}-${name}.json`).term;
}

const term = (node: NodeProcess) => node.stop();
const kill = (node: NodeProcess) => node.killWithMachine();

// The machine boots once, from the disks that spoke last, and the other node is seeded: nobody has
// to say which is which.
describe('restarts', () => {
  // Each way to end and each order once: the other two pairings found nothing that these do not.
  test('both are told to end; the one with the newest disks is started last', () =>
    restartBoth(thePair(), term, 'oldest'));

  test('both are killed; the one with the newest disks is started first', () =>
    restartBoth(thePair(), kill, 'newest'));
});
