/**
 * Goal: the store may die at every single step. What was committed is intact, nothing half is
 * visible, leftovers are collected. And a full disk loses nothing that was there.
 */
import { expect, it } from 'vitest';
import { logPosition } from '../../src/base/units.ts';
import type { SnapshotStore } from '../../src/ports/snapshot-store.ts';
import type { Files } from '../../src/store/files.ts';
import { openStore } from '../../src/store/store.ts';
import { chunkBytes, facts, noise, piece, ramOf, take } from './rig.ts';
import { type Fault, VolatileFiles } from './volatile-files.ts';

const directory = '/store';
const open = (files: Files) => openStore({ directory, files, catalogue: 'memory' });

/** What must be there: by what was resolved before the end. */
interface Promised {
  /** RAM by id. */
  readonly snapshots: Map<string, Buffer>;
  /** Removed or being removed: may be there, whole, or not. */
  readonly maybe: Map<string, Buffer>;
  pieces: number;
}

/** Snapshots, log, removal and collection, so that every kind of step is met. */
async function life(store: SnapshotStore, promised: Promised): Promise<void> {
  const ram = Buffer.alloc(8 * chunkBytes);
  const taken: string[] = [];
  const takeOne = async (chunk: number, seed: number) => {
    noise(2 * chunkBytes, seed).copy(ram, chunk * chunkBytes);
    const parent = taken.at(-1);
    const image = Buffer.from(ram);
    const writer = await store.begin(
      facts({ position: logPosition(1000 + 10 * taken.length) }),
      parent,
    );
    promised.maybe.set(writer.id, image);
    await writer.put('ram', chunk * chunkBytes, noise(2 * chunkBytes, seed));
    await writer.deviceState(Buffer.from(`state ${seed}`));
    const { id } = await writer.commit();
    promised.maybe.delete(id);
    promised.snapshots.set(id, image);
    taken.push(id);
  };
  const append = async (from: number, to: number) => {
    await store.log.append(piece(from, to));
    promised.pieces += 1;
  };
  const remove = async (id: string | undefined) => {
    if (id === undefined) return;
    promised.maybe.set(id, promised.snapshots.get(id) ?? Buffer.alloc(0));
    promised.snapshots.delete(id);
    await store.remove(id);
    promised.maybe.delete(id);
  };
  await takeOne(0, 1);
  await append(1000, 1010);
  await takeOne(4, 2);
  await takeOne(0, 3);
  await append(1010, 1020);
  await remove(taken[0]);
  await store.collect();
  await takeOne(6, 4);
  await remove(taken[1]);
  await remove(taken[2]);
  await store.collect();
  await takeOne(1, 5);
  // The next one is built on it all the same.
  await remove(taken.at(-1));
  await store.collect();
  await takeOne(3, 6);
}

const nothing = (): Promised => ({ snapshots: new Map(), maybe: new Map(), pieces: 0 });

/** Opens what is left and compares it with what was promised. */
async function judge(files: VolatileFiles, promised: Promised, why: string): Promise<void> {
  const store = await open(files);
  const found = (await store.list()).map(({ id }) => id);
  for (const [id, ram] of promised.snapshots) {
    expect(found, why).toContain(id);
    expect((await ramOf(store, id)).equals(ram), `${why}: RAM of ${id}`).toBe(true);
  }
  for (const id of found) {
    const ram = promised.snapshots.get(id) ?? promised.maybe.get(id);
    expect(ram, `${why}: ${id} came from nowhere`).toBeDefined();
    expect((await ramOf(store, id)).equals(ram ?? Buffer.alloc(0)), `${why}: ${id}`).toBe(true);
  }
  expect((await store.verify()).damaged, why).toEqual([]);
  expect(
    files.files().filter((name) => name.includes('.new-')),
    why,
  ).toEqual([]);
  await store.collect();
  expect((await store.verify()).damaged, why).toEqual([]);
  const next = await take(
    store,
    { 7: noise(chunkBytes, 99) },
    found[0] ? { parent: found[0] } : {},
  );
  expect((await ramOf(store, next.id)).subarray(7 * chunkBytes)).toEqual(noise(chunkBytes, 99));
  for (const id of [...found, next.id]) await store.remove(id);
  await store.close();
  const empty = await open(files); // what the next one would be built on was kept until here
  await empty.collect();
  await empty.close();
  expect(files.files(), `${why}: everything is given back`).toEqual([]);
}

/** Lives with a fault. True when it was met. */
async function dieAt(fault: Fault): Promise<{ files: VolatileFiles; promised: Promised }> {
  const files = new VolatileFiles();
  const promised = nothing();
  files.fault = fault;
  await open(files)
    .then((store) => life(store, promised))
    .catch((thrown: unknown) => {
      if (!files.isDead) throw thrown;
    });
  return { files, promised };
}

async function countSteps(): Promise<number> {
  const files = new VolatileFiles();
  const store = await open(files);
  await life(store, nothing());
  return files.steps;
}

it('survives being killed at every step', async () => {
  const steps = await countSteps();
  expect(steps).toBeGreaterThan(60);
  for (let step = 0; step < steps; step += 1) {
    for (const when of ['torn', 'after'] as const) {
      const { files, promised } = await dieAt({ step, when });
      expect(files.isDead).toBe(true);
      // The flag of the dead owner is of this very process, which lives.
      const left = files.afterKill();
      for (const name of left.files()) if (name.includes('/owners/')) await left.remove(name);
      await judge(left, promised, `killed ${when} step ${step}: ${files.trace.at(-1)}`);
    }
  }
});

it('survives a loss of power at every step, whatever of the rest reached the disk', async () => {
  const steps = await countSteps();
  let seed = 1;
  const chance = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 16) % 2 === 0;
  };
  for (let step = 0; step < steps; step += 1) {
    for (const keeps of [() => false, chance, chance]) {
      const { files, promised } = await dieAt({ step, when: 'after' });
      const left = files.afterPowerLoss(keeps);
      for (const name of left.files()) if (name.includes('/owners/')) await left.remove(name);
      await judge(left, promised, `power lost after step ${step}: ${files.trace.at(-1)}`);
    }
  }
});

it('loses nothing to a full disk, and goes on when there is room again', async () => {
  const steps = await countSteps();
  let refused = 0;
  for (let step = 0; step < steps; step += 1) {
    for (const when of ['before', 'torn'] as const) {
      const files = new VolatileFiles();
      const promised = nothing();
      files.fault = { step, when, code: 'ENOSPC' };
      let store: SnapshotStore | undefined;
      try {
        store = await open(files);
        await life(store, promised);
      } catch (thrown) {
        refused += 1;
        expect(thrown).toMatchObject({
          code: 'resources',
          hint: expect.stringMatching(/room|space|snapshot/i),
        });
      }
      files.fault = undefined;
      // The same process goes on with the same store.
      if (store !== undefined) {
        for (const [id, ram] of promised.snapshots) {
          expect((await ramOf(store, id)).equals(ram)).toBe(true);
        }
        for (const id of promised.maybe.keys()) {
          // A removal that failed can be repeated; what was not committed is unknown.
          await store.remove(id).catch(() => undefined);
        }
        const { id } = await take(store, { 3: noise(chunkBytes, 50 + step) });
        expect((await ramOf(store, id)).subarray(3 * chunkBytes, 4 * chunkBytes)).toEqual(
          noise(chunkBytes, 50 + step),
        );
        await store.remove(id);
        await store.collect();
        expect((await store.verify()).damaged).toEqual([]);
        await store.close();
      }
      for (const name of files.files()) if (name.includes('/owners/')) await files.remove(name);
      await judge(files, promised, `full disk ${when} step ${step}: ${files.trace[step]}`);
    }
  }
  expect(refused).toBeGreaterThan(steps);
});
