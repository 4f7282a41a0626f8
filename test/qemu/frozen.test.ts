// Processes that hang with their connections open, which is what a stuck host looks like: the
// arbiter, and the primary's node. Silence is judged patiently, so that nothing but what each test
// stops is taken for lost on a busy machine.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { waitFor } from './harness.ts';
import { Ordeal } from './hosts/ordeal.ts';
import { sharedPair } from './hosts/shared-pair.ts';

const silenceMs = 1000;
const thePair = sharedPair({ silenceMs });

test('the arbiter hangs, then the cable is cut, then the arbiter goes on', async () => {
  const pair = thePair();
  const ordeal = await Ordeal.begin(pair);
  const termsBefore = pair.terms();
  pair.witness.freeze();
  await ordeal.answers(100); // a protected pair needs no arbiter
  await pair.network.impairBoth('a', 'b', { isCut: true });
  await sleep(silenceMs + 500); // both have noticed, and what was acknowledged has left
  const framesBefore = await pair.framesSeen();
  await sleep(2000);
  expect(await pair.framesSeen()).toBe(framesBefore);
  expect(pair.terms()).toEqual(termsBefore);
  pair.witness.thaw();
  await ordeal.answers(100);
  expect(pair.terms()).toHaveLength(termsBefore.length + 1);
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
  const goOn = await pair.freeze(primary);
  await sleep(5000);
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
