/**
 * Goal: whatever is done at once (taking, aborting, removing, collecting, opening again), the store
 * holds what a plain map in memory holds, and nothing that is needed is ever collected. Parents are
 * those that are there, and the last one that was committed, which may be gone.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { SnapshotStore, SnapshotWriter } from '../../src/ports/snapshot-store.ts';
import { openStore } from '../../src/store/store.ts';
import { chunkBytes, facts, noise, ramOf, take } from './rig.ts';
import { VolatileFiles } from './volatile-files.ts';

const directory = '/store';
const ramBytes = 40 * chunkBytes; // two levels

/** A snapshot being taken, and what it should become. */
interface InWork {
  readonly writer: SnapshotWriter;
  readonly ram: Buffer;
}

class Model {
  readonly files = new VolatileFiles();
  readonly kept = new Map<string, Buffer>();
  readonly inWork: InWork[] = [];
  last: { readonly id: string; readonly ram: Buffer } | undefined;
  /** What was started and not waited for. */
  running: Promise<unknown>[] = [];
  store!: SnapshotStore;

  async open(): Promise<void> {
    this.store = await openStore({ directory, files: this.files, catalogue: 'memory' });
  }

  start(work: Promise<unknown>): void {
    this.running.push(work);
  }

  async settle(): Promise<void> {
    for (const work of this.running.splice(0)) await work;
  }

  pick<T>(list: readonly T[], index: number): T | undefined {
    return list[index % Math.max(1, list.length)];
  }
}

type Step = (model: Model) => Promise<void> | void;

const index = fc.nat(7);
// Few different contents and places: chunks are shared, left and found again all the time.
const content = fc.nat(5);
const chunk = fc.nat(38);

const begin = index.map(
  (which): Step =>
    async (model) => {
      const { last } = model;
      const parents = new Map([
        ...model.kept,
        ...(last === undefined ? [] : [[last.id, last.ram] as const]),
      ]);
      const parent = model.pick([...parents.keys()], which);
      const ram = Buffer.from((parent && parents.get(parent)) ?? Buffer.alloc(ramBytes));
      const images = [{ name: 'ram', bytes: ramBytes }];
      model.inWork.push({ writer: await model.store.begin(facts({ images }), parent), ram });
    },
);
const put = fc.tuple(index, chunk, content).map(
  ([which, at, seed]): Step =>
    (model) => {
      const found = model.pick(model.inWork, which);
      if (found === undefined) return;
      const bytes = seed === 0 ? Buffer.alloc(2 * chunkBytes) : noise(2 * chunkBytes, seed);
      bytes.copy(found.ram, at * chunkBytes);
      model.start(found.writer.put('ram', at * chunkBytes, bytes));
    },
);
const commit = index.map(
  (which): Step =>
    async (model) => {
      const found = model.pick(model.inWork, which);
      if (found === undefined) return;
      model.inWork.splice(model.inWork.indexOf(found), 1);
      await found.writer.deviceState(Buffer.from('state'));
      const { id } = await found.writer.commit();
      model.kept.set(id, found.ram);
      model.last = { id, ram: found.ram };
    },
);
const abort = index.map(
  (which): Step =>
    async (model) => {
      const found = model.pick(model.inWork, which);
      if (found === undefined) return;
      model.inWork.splice(model.inWork.indexOf(found), 1);
      await model.settle();
      await found.writer.abort();
    },
);
const remove = index.map(
  (which): Step =>
    (model) => {
      const id = model.pick([...model.kept.keys()], which);
      if (id === undefined) return;
      model.kept.delete(id);
      model.start(model.store.remove(id));
    },
);
const collect = fc.constant<Step>((model) => model.start(model.store.collect()));
const settle = fc.constant<Step>((model) => model.settle());
const reopen = fc.constant<Step>(async (model) => {
  await model.settle();
  await model.store.close();
  model.inWork.length = 0;
  model.last = undefined;
  await model.open();
});

it('behaves as a map, whatever runs at once', async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: begin },
      { weight: 8, arbitrary: put },
      { weight: 3, arbitrary: commit },
      { weight: 1, arbitrary: abort },
      { weight: 2, arbitrary: remove },
      { weight: 4, arbitrary: collect },
      { weight: 1, arbitrary: settle },
      { weight: 1, arbitrary: reopen },
    ),
    { minLength: 20, maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const model = new Model();
      await model.open();
      for (const step of script) await step(model);
      await model.settle();
      for (const { writer } of model.inWork) await writer.abort();
      await model.store.collect();
      expect((await model.store.verify()).damaged).toEqual([]);
      const there = (await model.store.list()).map(({ id }) => id);
      expect(there.sort()).toEqual([...model.kept.keys()].sort());
      for (const [id, ram] of model.kept) {
        expect((await ramOf(model.store, id)).equals(ram)).toBe(true);
      }
      // What only the last one needs stays for the next one, while the store is open.
      await model.store.close();
      await model.open();
      for (const id of there) await model.store.remove(id);
      await model.store.collect();
      expect(model.files.files().filter((name) => !name.includes('/owners/'))).toEqual([]);
      await model.store.close();
    }),
    { numRuns: 200, interruptAfterTimeLimit: 15_000 },
  );
});

it('keeps the last one for the next to be built on, also when it was removed, and not longer', async () => {
  const files = new VolatileFiles();
  const store = await openStore({ directory, files, catalogue: 'memory' });
  const first = await take(store, { 0: noise(chunkBytes, 1), 1: noise(chunkBytes, 2) });
  await store.remove(first.id);
  expect((await store.collect()).chunks).toBe(0);
  await expect(store.open(first.id)).rejects.toThrow('There is no snapshot');
  const next = await take(store, { 1: noise(chunkBytes, 3) }, { parent: first.id });
  expect((await ramOf(store, next.id)).subarray(0, 2 * chunkBytes)).toEqual(
    Buffer.concat([noise(chunkBytes, 1), noise(chunkBytes, 3)]),
  );
  // The chunk that was replaced, and the node and root that named it.
  expect((await store.collect()).chunks).toBeGreaterThan(0);
  expect((await store.verify()).damaged).toEqual([]);
  await expect(take(store, {}, { parent: first.id })).rejects.toThrow('There is no snapshot');
  await store.close();
});

it('begins nothing once it is being closed', async () => {
  const store = await openStore({ directory, files: new VolatileFiles(), catalogue: 'memory' });
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  const collecting = store.collect();
  const closing = store.close();
  await expect(store.remove(id)).rejects.toThrow("Store '/store' is closed");
  await expect(collecting).resolves.toMatchObject({ chunks: 0 });
  await closing;
});
