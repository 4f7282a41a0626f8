// Goal: a single flipped bit, wherever it is, is found, named with the snapshots it touches, and
// never used.
import { expect, it } from 'vitest';
import { openStore } from '../../src/store/store.ts';
import { chunkBytes, noise, ramOf, take } from './rig.ts';
import { VolatileFiles } from './volatile-files.ts';

const directory = '/store';

/** Three snapshots: the second shares a chunk with the first, the third is of another machine. */
async function filled() {
  const files = new VolatileFiles();
  const open = () => openStore({ directory, files, catalogue: 'memory' });
  const store = await open();
  const a = await take(store, { 0: noise(chunkBytes, 1), 1: noise(chunkBytes, 2) });
  const [packA] = files.files().filter((name) => name.endsWith('.pack'));
  const b = await take(
    store,
    { 1: noise(chunkBytes, 3) },
    { parent: a.id, facts: { takenAtMs: a.takenAtMs + 1 } },
  );
  const c = await take(store, { 0: noise(chunkBytes, 4) }, { facts: { vm: 'other' } });
  return { files, open, store, a, b, c, packA: packA ?? '' };
}

it('names exactly the snapshots that a damaged chunk touches; the others can be read', async () => {
  const { files, store, a, b, c, packA } = await filled();
  expect(await store.verify()).toMatchObject({ snapshots: 3, damaged: [] });
  files.flip(packA, 1000); // in the first chunk, which a and b share
  const { damaged } = await store.verify();
  expect(damaged).toEqual([
    { what: expect.stringMatching(/^Chunk [0-9a-f]{16} at 8 of pack/), snapshots: [a.id, b.id] },
  ]);
  await expect(ramOf(store, b.id)).rejects.toThrow(`Cannot read image 'ram' of snapshot '${b.id}'`);
  expect((await ramOf(store, c.id)).subarray(0, chunkBytes)).toEqual(noise(chunkBytes, 4));
  const snapshot = await store.open(b.id);
  expect(await snapshot.read('ram', chunkBytes, chunkBytes)).toEqual(noise(chunkBytes, 3));
  expect(await snapshot.deviceState()).toEqual(Buffer.from('device state'));
  await store.close();
});

it('finds a flipped bit at every place of a pack and of a manifest', async () => {
  const { files, store, open, packA, c } = await filled();
  await store.close();
  const manifest = files.files().find((name) => name.includes(c.id)) ?? '';
  for (const file of [packA, manifest]) {
    const bytes = await files.size(file);
    const step = Math.max(1, Math.floor(bytes / 150));
    for (let at = 0; at < bytes; at += step) {
      files.flip(file, at);
      const again = await open();
      const { damaged } = await again.verify();
      expect(damaged.length, `${file} at ${at}`).toBeGreaterThan(0);
      expect(damaged.flatMap(({ snapshots }) => snapshots).length, `at ${at}`).toBeGreaterThan(0);
      await again.close();
      files.flip(file, at);
    }
  }
});

it('leaves a damaged manifest to be removed, and collects nothing before', async () => {
  const { files, store, open, a, c } = await filled();
  await store.close();
  files.flip(files.files().find((name) => name.includes(c.id)) ?? '', 40);
  const again = await open();
  expect((await again.list()).map(({ id }) => id)).not.toContain(c.id);
  await expect(again.open(c.id)).rejects.toThrow(`Snapshot '${c.id}' is damaged`);
  await again.remove(a.id);
  await expect(again.collect()).rejects.toThrow(c.id);
  await again.remove(c.id);
  expect((await again.collect()).chunks).toBeGreaterThan(0);
  expect((await again.verify()).damaged).toEqual([]);
  await again.close();
});

it('names a pack that is missing', async () => {
  const { files, store, open, a, b, c, packA } = await filled();
  await store.close();
  await files.remove(packA);
  const again = await open();
  const { damaged } = await again.verify();
  expect(new Set(damaged.flatMap(({ snapshots }) => snapshots))).toEqual(
    new Set([a.id, b.id, c.id]), // c has the same device state as a
  );
  expect(damaged[0]?.what).toMatch(/^Chunk [0-9a-f]{16} is missing/);
  await expect(ramOf(again, a.id)).rejects.toThrow(/is missing/);
  await again.close();
});

it('counts for each snapshot what goes with it', async () => {
  const { files, store, a, b } = await filled();
  const sizes = async () =>
    (
      await Promise.all(
        files
          .files()
          .filter((n) => n.endsWith('.pack'))
          .map((n) => files.size(n)),
      )
    ).reduce((sum, bytes) => sum + bytes, 0);
  const before = await sizes();
  const usage = new Map((await store.usage()).map(({ id, bytes }) => [id, bytes]));
  // All but head and tail of each pack, and that of a pack which is copied.
  expect([...usage.values()].reduce((sum, bytes) => sum + bytes)).toBeGreaterThan(before - 3 * 60);
  await store.remove(a.id);
  await store.collect();
  expect(usage.get(a.id)).toBeGreaterThan(chunkBytes / 2);
  expect(usage.get(b.id)).toBeGreaterThan(chunkBytes);
  await store.close();
});
