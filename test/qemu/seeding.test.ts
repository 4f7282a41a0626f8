// A backup is filled while the guest works: what it then is, is the machine of the cut, however
// much was written meanwhile, however often the link broke, and whatever the backup had from
// earlier.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LoadStats } from '../../src/lab/load-record.ts';
import type { WatchEvent } from '../../src/observe/control-client.ts';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor, waitForCount } from './harness/wait.ts';

let pair: PairUnderTest;
beforeEach(async () => {
  pair = await PairUnderTest.open();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
  await pair.close();
});

type EventOf<Type extends WatchEvent['type']> = Extract<WatchEvent, { type: Type }>;

function all<Type extends WatchEvent['type']>(name: string, type: Type): EventOf<Type>[] {
  return pair.events(name).filter((event): event is EventOf<Type> => event.type === type);
}

const MB = 1024 * 1024;

test('a seed under load, and a rejoin with an older disk', async () => {
  // Old data behind the guest's file system, which itself is almost empty.
  fs.appendFileSync(`${pair.stage.dir}/data-a.raw`, randomBytes(32 * MB));
  const a = await pair.boot();
  let stats: LoadStats | undefined;
  const load = pair.load((latest) => {
    stats = latest;
  });
  await waitForCount('answers', () => stats?.requestsOk ?? 0, 21);
  const b = pair.start('b');
  await pair.protectedBy(a, b);
  expect(await pair.compare(a, b)).toEqual([]);
  const cut = all('a', 'cut').find(({ purpose }) => purpose === 'seed');
  const first = all('a', 'seeded')[0];
  expect(cut?.bytesPerRound?.length).toBeGreaterThan(2);
  expect(cut?.bytesPerRound?.at(-1)).toBeLessThan((cut?.bytesPerRound?.[0] ?? 0) / 4);

  await b.killWithMachine();
  await a.until('alone');
  const again = pair.start('b');
  await pair.protectedBy(a, again);
  expect(await pair.compare(a, again)).toEqual([]);
  const second = all('a', 'seeded')[1];
  expect(first?.diskBytes).toBeGreaterThan(32 * MB);
  expect(second?.diskBytes).toBeLessThan((first?.diskBytes ?? 0) / 10);
  expect(second?.haveBytes).toBeGreaterThan(32 * MB);
  const record = await load.stop();
  expect([record.failures, record.requestsFailed]).toEqual([[], 0]);
});

test('the link breaks in the middle of a seed', async () => {
  pair.configure((file) => {
    file.seedBandwidth = '20MB/s'; // so that there is a middle
  });
  const a = await pair.booted();
  const relay = await pair.relay('a');
  const b = pair.start('b');
  const begun = await a.next((event): event is EventOf<'seedBegun'> => event.type === 'seedBegun');
  await waitFor('some RAM to arrive', () => ramBytes('b') > 8 * MB || undefined);
  relay.break();
  await pair.protectedBy(a, b);
  const resumed = all('a', 'seedResumed')[0];
  const sent = all('a', 'seeded').at(-1);
  expect(resumed?.from).toBe(begun.seedId);
  expect(resumed?.haveBytes).toBeGreaterThan(8 * MB);
  // What was there is not sent again, but for what the guest has changed since.
  expect(sent?.ramBytes).toBeLessThan(ramBytes('a') - 4 * MB);
  expect(await pair.compare(a, b)).toEqual([]);
  expect(all('b', 'replicaDiscarded')).toHaveLength(1);
});

test('a node in the middle of a seed does not boot from its image', async () => {
  const image = `${pair.stage.dir}/data-a.raw`;
  fs.writeFileSync(`${image}.seeding`, '');
  const a = pair.start('a');
  expect(await a.exited).toBe(1);
  const log = fs.readFileSync(`${pair.stage.dir}/a.log`, 'utf8');
  expect(log).toContain('is a mixture: a seed of it broke off');
  expect(log).toContain('start the other node and let this one be seeded');
  expect(pair.terms()).toEqual([]);
});

/** RAM that has arrived at a node. */
function ramBytes(name: string): number {
  const dir = pair.stage.runDir(name);
  const files = fs.existsSync(dir) ? fs.readdirSync(dir) : [];
  return files
    .filter((file) => file.endsWith('.ram'))
    .reduce((sum, file) => sum + fs.statSync(`${dir}/${file}`).blocks * 512, 0);
}
