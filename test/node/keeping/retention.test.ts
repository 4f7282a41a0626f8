// The policy of a pair thins out that pair's snapshots, and nobody else's.
import { expect, test, vi } from 'vitest';
import { retention } from '../../../src/node/keeping/retention.ts';
import { openStore } from '../../../src/store/store.ts';
import { facts, noise, scratchDirectory, take } from '../../store/rig.ts';

test('the newest of this machine stay, with what has a label, and all of others', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  const keep = async (vm: string, takenAtMs: number, label?: string): Promise<string> => {
    const named = label === undefined ? {} : { label };
    const writer = await store.begin(facts({ vm, takenAtMs, ...named }));
    await writer.put('ram', 0, noise(writer.chunkBytes, takenAtMs));
    await writer.deviceState(Buffer.from('state'));
    return (await writer.commit()).id;
  };
  const labelled = await keep('web', 1000, 'before the upgrade');
  await keep('web', 2000);
  const other = await keep('db', 2500);
  await keep('web', 3000);
  const newest = [await keep('web', 4000), await keep('web', 5000)];
  const apply = retention('web', { last: 2 });
  await apply(store);
  const left = (await store.list()).map(({ id }) => id);
  expect(left.toSorted()).toEqual([labelled, other, ...newest].toSorted());

  // Not at every snapshot: it reads the catalogue.
  await keep('web', 6000);
  await apply(store);
  expect(await store.list({ vm: 'web' })).toHaveLength(4);
  await store.close();
});

test('one that somebody else removes meanwhile is no failure', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  const ids: string[] = [];
  for (const takenAtMs of [1000, 2000, 3000]) {
    ids.push((await take(store, {}, { facts: { takenAtMs } })).id);
  }
  const [oldest = '', , newest] = ids;
  const listed = await store.list();
  await store.remove(oldest);
  vi.spyOn(store, 'list').mockResolvedValueOnce(listed); // it was removed since
  await retention('web', { last: 1 })(store);
  expect((await store.list()).map(({ id }) => id)).toEqual([newest]);
  await store.close();
});
