// The policy of a pair thins out that pair's snapshots, and nobody else's.
import { expect, test } from 'vitest';
import { retention } from '../../../src/node/snapshots/retention.ts';
import { openStore } from '../../../src/store/store.ts';
import { facts, noise, scratchDirectory } from '../../store/rig.ts';

test('the newest of this machine stay, with what has a label, and all of others', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  const take = async (vm: string, takenAtMs: number, label?: string): Promise<string> => {
    const named = label === undefined ? {} : { label };
    const writer = await store.begin(facts({ vm, takenAtMs, ...named }));
    await writer.put('ram', 0, noise(writer.chunkBytes, takenAtMs));
    await writer.deviceState(Buffer.from('state'));
    return (await writer.commit()).id;
  };
  const labelled = await take('web', 1000, 'before the upgrade');
  await take('web', 2000);
  const other = await take('db', 2500);
  await take('web', 3000);
  const newest = [await take('web', 4000), await take('web', 5000)];
  const apply = retention('web', { last: 2 });
  await apply(store);
  const left = (await store.list()).map(({ id }) => id);
  expect(left.toSorted()).toEqual([labelled, other, ...newest].toSorted());

  // Not at every snapshot: it reads the catalogue.
  await take('web', 6000);
  await apply(store);
  expect(await store.list({ vm: 'web' })).toHaveLength(4);
  await store.close();
});
