// Goal: who follows a store all the time learns what has gone without reading everything anew, and
// finds a chunk that also lies elsewhere all the same.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openParts } from '../../src/store/opening.ts';
import { openStore } from '../../src/store/store.ts';
import { chunkBytes, noise, scratchDirectory, take } from './rig.ts';

it('drops the places in a pack that has gone, and looks for a chunk that is missed then', async () => {
  const directory = scratchDirectory();
  const packs = path.join(directory, 'packs');
  const store = await openStore({ directory });
  const { id } = await take(store, { 0: noise(4 * chunkBytes, 1) });
  const [first = ''] = fs.readdirSync(packs);
  await take(store, { 1: noise(chunkBytes, 2) });
  await store.close();
  fs.copyFileSync(path.join(packs, first), path.join(packs, `${'f'.repeat(32)}.pack`));
  const { parts, close } = await openParts({ directory, mode: 'read' });
  const root = (await parts.manifest(id)).images[0]!.root;
  const place = parts.catalogue.findChunk(root);
  fs.rmSync(path.join(packs, `${place?.pack}.pack`));
  await parts.refresh('drop');
  expect(parts.catalogue.packs()).toHaveLength(2);
  expect(parts.catalogue.findChunk(root)).toBeUndefined();
  const [stored] = await parts.readStored([root]);
  expect(stored?.rawBytes).toBe(1024);
  expect(parts.catalogue.findChunk(root)?.pack).not.toBe(place?.pack);
  await close();
});
