/**
 * Takes snapshots until it is killed, removing and collecting in between; says what it committed.
 */
import { openStore } from '../../src/store/store.ts';
import { chunkBytes, noise, take } from './snapshots.ts';

const [, , directory = ''] = process.argv;
const store = await openStore({ directory });
let parent: string | undefined;
for (let seed = 1; ; seed += 1) {
  const { id } = await take(
    store,
    { 0: noise(2 * chunkBytes, seed), 4: noise(chunkBytes, -seed) },
    parent === undefined ? {} : { parent },
  );
  process.stdout.write(`committed ${id} ${seed}\n`);
  if (seed % 3 === 0) await store.collect();
  parent = id;
}
