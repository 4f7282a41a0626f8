// A management network that loses, delays and flaps. It may cost the pair its protection for a
// while, but never an answer to a client, and there is never more than one speaker.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { patientMs } from './harness/pair.ts';
import { Ordeal } from './hosts/ordeal.ts';
import { sharedPair } from './hosts/shared-pair.ts';

// Silence is judged as by default: what this network does is enough for a takeover, and may be.
describe('frames are lost', () => {
  const thePair = sharedPair();

  test('30 % of all frames are lost, in both directions, for 8 s', async () => {
    const pair = thePair();
    const ordeal = await Ordeal.begin(pair);
    await pair.network.impairAll({ lossPermille: 300 });
    await sleep(8000);
    await pair.network.heal();
    await pair.protection();
    await ordeal.answers();
    await ordeal.end();
  });

  test('the cable is cut five times for 200 ms', async () => {
    const pair = thePair();
    const ordeal = await Ordeal.begin(pair);
    for (let cut = 0; cut < 5; cut += 1) {
      await pair.network.impairBoth('a', 'b', { isCut: true });
      await sleep(200);
      await pair.network.heal();
      await sleep(800);
    }
    await pair.protection();
    await ordeal.answers();
    await ordeal.end();
  });
});

// That the pair stays protected is promised for a slow network, not for a machine that is away.
describe('frames are late', () => {
  const thePair = sharedPair({ silenceMs: patientMs });

  test('every frame takes 100 ms in each direction: the pair stays protected', async () => {
    const pair = thePair();
    const ordeal = await Ordeal.begin(pair);
    const termsBefore = pair.terms();
    await pair.network.impairAll({ delayMs: 100 });
    await sleep(5000);
    expect(pair.terms()).toEqual(termsBefore);
    await ordeal.answers(20); // each takes several of these round trips, and the guest is slowed down
    await pair.network.heal();
    await pair.protection();
    await ordeal.end();
  });
});
