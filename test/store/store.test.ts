// Goal: what is put comes back, checked; snapshots stand alone; equal chunks are stored once.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { openStore } from '../../src/store/store.ts';
import { chunkBytes, facts, noise, ramOf, scratchDirectory, take } from './rig.ts';

const packsOf = (directory: string) => fs.readdirSync(path.join(directory, 'packs'));
const packBytes = (directory: string) =>
  packsOf(directory).reduce(
    (sum, name) => sum + fs.statSync(path.join(directory, 'packs', name)).size,
    0,
  );

it('gives back what was put, also after it was opened again', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const disk = 40 * chunkBytes + 1536; // more than one node, and a short chunk at the end
  const writer = await store.begin(
    facts({
      images: [
        { name: 'ram', bytes: 8 * chunkBytes },
        { name: 'disk.vda', bytes: disk },
      ],
    }),
  );
  await writer.put('ram', 2 * chunkBytes, noise(3 * chunkBytes, 1));
  await writer.put('disk.vda', 39 * chunkBytes, noise(chunkBytes + 1536, 2));
  await writer.deviceState(Buffer.from('QEVM'));
  const manifest = await writer.commit();
  expect(manifest).toMatchObject({ ...facts(), images: expect.anything(), deviceStateBytes: 4 });
  await store.close();
  expect(fs.readdirSync(directory).sort()).toEqual([
    'catalogue.sqlite',
    'logs',
    'owners',
    'packs',
    'snapshots',
  ]);

  const again = await openStore({ directory });
  expect(await again.list()).toEqual([manifest]);
  const snapshot = await again.open(manifest.id);
  expect(await snapshot.deviceState()).toEqual(Buffer.from('QEVM'));
  const ram = Buffer.alloc(8 * chunkBytes);
  noise(3 * chunkBytes, 1).copy(ram, 2 * chunkBytes);
  expect(await ramOf(again, manifest.id)).toEqual(ram);
  // Across the border of a chunk, and not from its begin.
  expect(await snapshot.read('ram', 3 * chunkBytes - 10, 20)).toEqual(
    ram.subarray(3 * chunkBytes - 10, 3 * chunkBytes + 10),
  );
  const out = path.join(directory, 'vda.raw');
  await snapshot.materialize('disk.vda', out);
  const written = fs.readFileSync(out);
  expect(written.length).toBe(disk);
  expect(written.subarray(39 * chunkBytes)).toEqual(noise(chunkBytes + 1536, 2));
  expect(written.subarray(0, 39 * chunkBytes).every((byte) => byte === 0)).toBe(true);
  const { blocks, mode } = fs.statSync(out);
  expect(blocks * 512).toBeLessThan(4 * chunkBytes); // sparse
  expect(mode & 0o777).toBe(0o600);
  await again.close();
});

it('takes from the parent what was not put, and does not need it afterwards', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const first = await take(store, { 0: noise(chunkBytes, 1), 5: noise(chunkBytes, 2) });
  const second = await take(store, { 5: Buffer.alloc(chunkBytes) }, { parent: first.id });
  const third = await take(store, { 1: noise(chunkBytes, 3) }, { parent: second.id });
  expect(third.parent).toBe(second.id);
  const expected = Buffer.alloc(8 * chunkBytes);
  noise(chunkBytes, 1).copy(expected, 0);
  expect(await ramOf(store, second.id)).toEqual(expected);
  await store.remove(first.id);
  await store.remove(second.id);
  const { chunks } = await store.collect();
  expect(chunks).toBeGreaterThan(0);
  noise(chunkBytes, 3).copy(expected, chunkBytes);
  expect(await ramOf(store, third.id)).toEqual(expected);
  expect((await store.verify()).damaged).toEqual([]);
  await store.close();
});

it('stores equal chunks once, across machines, and zeros not at all', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  await take(store, { 0: noise(chunkBytes, 1) });
  const before = packBytes(directory);
  const { addedBytes } = await take(
    store,
    { 3: noise(chunkBytes, 1), 4: Buffer.alloc(chunkBytes) },
    { facts: { vm: 'other' } },
  );
  // A node of the tree that differs, and the bounds of a pack.
  expect(packBytes(directory) - before).toBe(addedBytes);
  expect(addedBytes).toBeLessThan(400);
  await store.close();
});

it('shows nothing of a snapshot before it is committed, nor of one that was given up', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const writer = await store.begin(facts());
  await writer.put('ram', 0, noise(chunkBytes, 1));
  expect(await store.list()).toEqual([]);
  await writer.abort();
  await writer.abort();
  expect(await store.list()).toEqual([]);
  expect(packsOf(directory)).toEqual([]);
  await expect(writer.commit()).rejects.toThrow(/over/);
  await store.close();
});

it('tells in which ranges two snapshots differ', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  const images = [{ name: 'ram', bytes: 100 * chunkBytes }];
  const first = await take(store, { 1: noise(chunkBytes, 1) }, { facts: { images } });
  const second = await take(
    store,
    { 1: noise(chunkBytes, 9), 2: noise(chunkBytes, 2), 70: noise(chunkBytes, 3) },
    { facts: { images }, parent: first.id },
  );
  const [a, b] = [await store.open(first.id), await store.open(second.id)];
  const expected = [
    { offset: chunkBytes, bytes: 2 * chunkBytes },
    { offset: 70 * chunkBytes, bytes: chunkBytes },
  ];
  expect(await b.changes('ram', a)).toEqual(expected);
  expect(await a.changes('ram', b)).toEqual(expected);
  expect(await a.changes('ram', a)).toEqual([]);
  await store.close();
});

it('refuses what does not fit, and goes on', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  await expect(store.begin(facts({ vm: '../etc' }))).rejects.toThrow(UnderstudyError);
  await expect(store.begin(facts({ takenAtMs: 1.5 }))).rejects.toThrow(/whole number/);
  const long = await store.begin(facts({ vmFile: 'x'.repeat(2 ** 20) }));
  await long.deviceState(Buffer.alloc(1));
  await expect(long.commit()).rejects.toThrow(/too long/);
  await long.abort();
  await expect(store.begin(facts(), 'nobody')).rejects.toThrow("There is no snapshot 'nobody'");
  const writer = await store.begin(facts());
  await expect(writer.put('ram', 100, noise(chunkBytes, 1))).rejects.toThrow(/at 100/);
  await expect(writer.put('ram', 8 * chunkBytes, noise(chunkBytes, 1))).rejects.toThrow(/up to/);
  await expect(writer.put('vga', 0, noise(chunkBytes, 1))).rejects.toThrow(/no image 'vga'/);
  await expect(writer.commit()).rejects.toThrow(/no device state/);
  await writer.put('ram', 0, noise(chunkBytes, 1));
  await writer.deviceState(Buffer.alloc(100));
  await expect(writer.deviceState(Buffer.alloc(1))).rejects.toThrow(/before/);
  const { id } = await writer.commit();
  const snapshot = await store.open(id);
  expect(await snapshot.deviceState()).toEqual(Buffer.alloc(100));
  await expect(snapshot.materialize('disk.vda', '/nowhere')).rejects.toThrow(/it has 'ram'/);
  await expect(store.open('x')).rejects.toThrow(UnderstudyError);
  await expect(store.remove('x')).rejects.toThrow(UnderstudyError);
  await store.close();
});

it('makes its catalogue again when it was deleted, or is no catalogue', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  await store.close();
  const catalogue = path.join(directory, 'catalogue.sqlite');
  for (const spoil of [
    () => fs.rmSync(catalogue),
    () => fs.writeFileSync(catalogue, 'no database at all'.repeat(100)),
    () => fs.truncateSync(catalogue, 5000),
  ]) {
    spoil();
    const again = await openStore({ directory });
    expect((await ramOf(again, id)).subarray(0, chunkBytes)).toEqual(noise(chunkBytes, 1));
    expect((await again.verify()).damaged).toEqual([]);
    await again.close();
  }
});

it('copies packs of which little is needed into new ones', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const first = await take(store, { 0: noise(6 * chunkBytes, 1) });
  const second = await take(store, { 1: noise(5 * chunkBytes, 2) }, { parent: first.id });
  const before = packBytes(directory);
  await store.remove(first.id);
  const { freedBytes } = await store.collect();
  expect(before - packBytes(directory)).toBe(freedBytes);
  expect(freedBytes).toBeGreaterThan(30_000);
  const expected = Buffer.alloc(8 * chunkBytes);
  noise(6 * chunkBytes, 1).copy(expected, 0);
  noise(5 * chunkBytes, 2).copy(expected, chunkBytes);
  expect(await ramOf(store, second.id)).toEqual(expected);
  expect((await store.verify()).damaged).toEqual([]);
  await store.close();
});
