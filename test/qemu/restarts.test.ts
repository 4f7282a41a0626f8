// Both nodes end, in order or not, and are started again in either order. The machine boots once,
// from the disks that spoke last, and the other node is seeded: nobody has to say which is which.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { NodeProcess } from '../../src/demo/node-process.ts';
import { loadPairConfig } from '../../src/node/pair-config.ts';
import { SpokenTerm } from '../../src/node/spoken.ts';
import { Ordeal } from './hosts/ordeal.ts';
import type { PairOnHosts } from './hosts/pair-on-hosts.ts';
import { sharedPair } from './hosts/shared-pair.ts';

// Silence is judged patiently: who is primary is decided here by who was started, and by nothing else.
const thePair = sharedPair({ silenceMs: 1000 });

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

// Each way to end and each order once: the other two pairings found nothing that these do not.
test('both are told to end; the one with the newest disks is started last', () =>
  restartBoth(thePair(), term, 'oldest'));

test('both are killed; the one with the newest disks is started first', () =>
  restartBoth(thePair(), kill, 'newest'));
