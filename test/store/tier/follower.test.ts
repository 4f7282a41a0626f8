/**
 * Goal: after a pass the other store has what the source has, whatever is removed and collected
 * meanwhile; what cannot be had is told; and nothing of a policy there is undone.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logPosition } from '../../../src/base/units.ts';
import type { SnapshotFacts, SnapshotStore } from '../../../src/ports/snapshot-store.ts';
import { openStore } from '../../../src/store/store.ts';
import type { CopyNews } from '../../../src/store/tier/news.ts';
import { chunkBytes, noise, piece, ramOf, take } from '../snapshots.ts';
import { VolatileFiles } from '../volatile-files.ts';
import { follow, here, passOnce, there } from './rig.ts';

const openSource = (files: VolatileFiles) =>
  openStore({ directory: here, files, catalogue: 'memory' });
const openCopies = (files: VolatileFiles) => openStore({ directory: there, mode: 'read', files });

const idsIn = async (store: SnapshotStore) => (await store.list()).map(({ id }) => id);
const copied = (news: readonly CopyNews[]) =>
  news.flatMap((one) => (one.type === 'copied' ? [one.id] : []));
const lost = (news: readonly CopyNews[]) =>
  news.flatMap((one) => (one.type === 'lost' ? [one.id] : []));

/** Snapshots one behind the other, of a machine of four chunks of noise. */
async function takeSome(store: SnapshotStore, count: number, more: Partial<SnapshotFacts> = {}) {
  const ids: string[] = [];
  for (let n = 1; n <= count; n += 1) {
    const [parent] = ids.slice(-1);
    const facts = { position: logPosition(1000 * n), takenAtMs: 1000 * n, ...more };
    const chunks = parent === undefined ? { 0: noise(4 * chunkBytes, 99) } : {};
    const options = parent === undefined ? { facts } : { facts, parent };
    ids.push((await take(store, { ...chunks, 5: noise(chunkBytes, n) }, options)).id);
  }
  return ids;
}

/** Both stores have the same snapshots, byte for byte, and all is well in the other one. */
async function expectEqual(source: SnapshotStore, target: VolatileFiles): Promise<void> {
  const copies = await openCopies(target);
  const ids = await idsIn(source);
  expect(await idsIn(copies)).toEqual(ids);
  for (const id of ids) {
    expect((await ramOf(copies, id)).equals(await ramOf(source, id))).toBe(true);
    const state = await (await source.open(id)).deviceState();
    expect(await (await copies.open(id)).deviceState()).toEqual(state);
    expect((await copies.open(id)).manifest).toEqual((await source.open(id)).manifest);
  }
  expect((await copies.verify()).damaged).toEqual([]);
  await copies.close();
}

describe('a pass', () => {
  it('copies snapshots, newest first, and the log behind the oldest of them', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    const ids = await takeSome(store, 3);
    await store.log.append(piece(900, 1000));
    await store.log.append(piece(1000, 2000));
    await store.log.append(piece(2000, 3500));
    await store.log.append(piece(10, 20, { vm: 'db' }));
    const news = await passOnce(source, target);
    expect(copied(news)).toEqual(ids.toReversed());
    await expectEqual(store, target);
    const copies = await openCopies(target);
    const log = await copies.log.list({ vm: 'web', run: 'r1' });
    expect(log.map(({ from, to }) => [from, to])).toEqual([
      [1000, 2000],
      [2000, 3500],
    ]);
    const [first] = await store.list();
    const followed: number[] = [];
    for await (const { payload } of copies.log.follow(first!)) followed.push(payload.length);
    expect(followed).toHaveLength(2);
    expect(await copies.log.list({ vm: 'db', run: 'r1' })).toEqual([]);
  });

  it('copies of the next one what is new, and of what is there nothing', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    await takeSome(store, 1);
    const [first] = await passOnce(source, target);
    const [parent] = await idsIn(store);
    const changed = { 6: noise(chunkBytes, 7) };
    await take(store, changed, { parent: parent!, facts: { position: logPosition(2000) } });
    const [second] = await passOnce(source, target);
    expect(first).toMatchObject({ type: 'copied', waiting: 0 });
    expect(second).toMatchObject({ type: 'copied', waiting: 0 });
    const bytesOf = (news: CopyNews | undefined) => (news as { bytes: number }).bytes;
    expect(bytesOf(second)).toBeLessThan(bytesOf(first) / 2);
    const steps = target.steps;
    expect(await passOnce(source, target)).toEqual([]);
    expect(target.steps - steps).toBeLessThan(10); // the flag of the owner
    await expectEqual(store, target);
  });

  it('takes what was kept meanwhile before what still waits', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    const ids = await takeSome(store, 3);
    let later = '';
    const taking = take(store, {}, { facts: { position: logPosition(9000) } });
    const { follower, news, close } = await follow(source, target);
    later = (await taking).id;
    await follower.pass();
    await close();
    expect(copied(news)).toEqual([later, ...ids.toReversed()]);
  });

  it('tells one that was removed before its turn, and goes on', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    const [oldest = '', ...others] = await takeSome(store, 3);
    let removing: Promise<unknown> | undefined;
    const tell = () => {
      removing ??= store.remove(oldest);
    };
    const news = await passOnce(source, target, { tell });
    await removing;
    expect(copied(news)).toEqual(others.toReversed());
    expect(lost(news)).toEqual([oldest]);
    await expectEqual(store, target);
  });

  it('leaves out what is damaged, tells it once, and copies the others', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    const good = (await take(store, { 0: noise(chunkBytes, 1) })).id;
    const before = new Set(source.files());
    const facts = { position: logPosition(2000) };
    const bad = (await take(store, { 0: noise(chunkBytes, 2) }, { facts })).id;
    await store.log.append(piece(1000, 2000));
    const added = source.files().filter((name) => !before.has(name));
    for (const name of added) {
      if (name.endsWith('.pack')) source.flip(name, 20);
      if (name.endsWith('.log')) source.flip(name, (await source.size(name)) - 1);
    }
    const { follower, news, close } = await follow(source, target);
    await follower.pass();
    await follower.pass();
    await close();
    expect(copied(news)).toEqual([good]);
    expect(news.filter(({ type }) => type === 'leftOut')).toEqual([
      { type: 'leftOut', what: bad, reason: expect.stringContaining('is damaged') },
      { type: 'leftOut', what: expect.stringContaining('.log'), reason: expect.any(String) },
    ]);
    const copies = await openCopies(target);
    expect(await idsIn(copies)).toEqual([good]);
    expect((await copies.verify()).damaged).toEqual([]);
  });

  it('ends where it is told to, and the next one goes on', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    await takeSome(store, 3);
    const stopping = new AbortController();
    const tell = () => stopping.abort(new Error('stopped'));
    const { follower, close } = await follow(source, target, { tell, signal: stopping.signal });
    await expect(follower.pass()).rejects.toThrow('stopped');
    await close();
    await passOnce(source, target);
    await expectEqual(store, target);
  });
});

describe('with a policy of its own', () => {
  it('keeps what that says, and does not copy again what it removed', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    const labelled = (await take(store, {}, { facts: { label: 'mine' } })).id;
    const ids = await takeSome(store, 4, { term: 4 as never });
    const news = await passOnce(source, target, { keep: { last: 2 } });
    expect(copied(news)).toEqual([...ids.slice(2).toReversed(), labelled]);
    const next = (
      await take(store, {}, { facts: { position: logPosition(9000), term: 4 as never } })
    ).id;
    const { follower, news: later, close } = await follow(source, target, { keep: { last: 2 } });
    await follower.pass({ isLast: true });
    await follower.pass();
    await close();
    expect(copied(later)).toEqual([next]);
    const copies = await openCopies(target);
    expect(await idsIn(copies)).toEqual([labelled, ids[3], next]);
    expect((await copies.verify()).damaged).toEqual([]);
  });

  it('does not fill the room of its budget again and again', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    const ids = await takeSome(store, 4);
    const { follower, news, close } = await follow(source, target, { keep: { budgetBytes: 1 } });
    for (let pass = 0; pass < 3; pass += 1) await follower.pass({ isLast: true });
    await close();
    const copies = await openCopies(target);
    expect(await idsIn(copies)).toEqual([ids[3]]);
    // All fitted when nobody had looked yet; then nothing older was wanted.
    expect(copied(news).length).toBeLessThanOrEqual(ids.length);
    expect((await copies.verify()).damaged).toEqual([]);
  });

  it('removes nothing without one, whatever the source does', async () => {
    const [source, target] = [new VolatileFiles(), new VolatileFiles()];
    const store = await openSource(source);
    const ids = await takeSome(store, 3);
    await passOnce(source, target);
    for (const id of ids) await store.remove(id);
    await store.collect();
    await passOnce(source, target);
    const copies = await openCopies(target);
    expect(await idsIn(copies)).toEqual(ids);
    expect((await copies.verify()).damaged).toEqual([]);
  });
});

type Step = (model: Model) => Promise<void>;

/** A source that is used, while passes go on beside it. */
class Model {
  readonly source = new VolatileFiles();
  readonly target = new VolatileFiles();
  passes: Promise<unknown>[] = [];
  count = 0;
  store!: SnapshotStore;
}

const takeStep = fc.tuple(fc.nat(7), fc.nat(5), fc.nat(7)).map(
  ([chunk, seed, which]): Step =>
    async (model) => {
      model.count += 1;
      const ids = await idsIn(model.store);
      const parent = ids[which % Math.max(1, ids.length)];
      const facts = { position: logPosition(1000 * model.count) };
      const options = parent === undefined ? { facts } : { facts, parent };
      await take(model.store, { [chunk]: noise(chunkBytes, seed) }, options);
    },
);
const removeStep = fc.nat(7).map(
  (which): Step =>
    async (model) => {
      const ids = await idsIn(model.store);
      const id = ids[which % Math.max(1, ids.length)];
      if (id !== undefined) await model.store.remove(id);
    },
);
const collectStep = fc.constant<Step>(async (model) => {
  await model.store.collect();
});
/** Begun, and not waited for: the next steps are done beside it. */
const passStep = fc.boolean().map(
  (owesCollect): Step =>
    async (model) => {
      const before = model.passes.at(-1) ?? Promise.resolve();
      const options = { owesCollect };
      model.passes.push(before.then(() => passOnce(model.source, model.target, options)));
      await new Promise((resolve) => setImmediate(resolve));
    },
);

it('is whole after any pass, whatever is taken, removed and collected beside it', async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: takeStep },
      { weight: 2, arbitrary: removeStep },
      { weight: 2, arbitrary: collectStep },
      { weight: 3, arbitrary: passStep },
    ),
    { minLength: 10, maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const model = new Model();
      model.store = await openSource(model.source);
      for (const step of script) await step(model);
      await Promise.all(model.passes);
      await passOnce(model.source, model.target);
      const copies = await openCopies(model.target);
      expect((await copies.verify()).damaged).toEqual([]);
      const [ids, kept] = [await idsIn(copies), await idsIn(model.store)];
      expect(ids).toEqual(expect.arrayContaining(kept));
      for (const id of kept) {
        expect((await ramOf(copies, id)).equals(await ramOf(model.store, id))).toBe(true);
      }
      await copies.close();
      await model.store.close();
    }),
    { numRuns: 60, interruptAfterTimeLimit: 20_000 },
  );
});
