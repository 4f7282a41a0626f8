// Snapshots are removed while a node keeps more: the verb finds the node in the store and asks it,
// and what it says is what it would say alone.
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changingStore } from '../../../src/cli/verbs/using-store.ts';
import { ControlServer } from '../../../src/node/control-server.ts';
import { NodeStore } from '../../../src/node/keeping/node-store.ts';
import { SerialPorts } from '../../../src/node/machine/serial-ports.ts';
import { Reporter } from '../../../src/node/report.ts';
import type { WritableStore } from '../../../src/ports/snapshot-store.ts';
import {
  chunkBytes,
  facts,
  noise,
  ramOf,
  reading,
  scratchDirectory,
  take,
} from '../../store/rig.ts';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

describe('while a node has the store open', () => {
  let directory: string;
  let control: ControlServer;
  let kept: NodeStore;
  let store: WritableStore;

  beforeEach(async () => {
    directory = scratchDirectory();
    const socket = path.join(directory, 'control');
    const node = { pair: 'web', name: 'b', control: socket };
    kept = new NodeStore({ directory, node, keep: undefined, log: quiet });
    control = await ControlServer.start({
      path: socket,
      status: () => ({
        node: 'b',
        pair: 'web',
        role: 'backup',
        state: '',
        term: 1,
        qemu: '7.2.22',
        concerns: [],
        arbiter: 'file:/terms',
        pid: 1,
      }),
      verify: () => Promise.reject(new Error('unused')),
      takeSnapshot: () => Promise.reject(new Error('unused')),
      line: () => Promise.reject(new Error('unused')),
      removeSnapshot: (id) => kept.remove(id),
      collectSnapshots: () => kept.collect(),
      drill: () => Promise.resolve(),
      stop: () => undefined,
      serials: new SerialPorts([]),
      reporter: new Reporter(),
    });
    store = await kept.open();
  });
  afterEach(async () => {
    control.close();
    await kept.close(store);
  });

  /** As `snapshot rm` does it. */
  const remove = (...ids: string[]) =>
    changingStore({ store: directory }, async (changed) => {
      for (const id of ids) await changed.remove(id);
      return await changed.collect();
    });

  const verified = () => reading(directory, (reader) => reader.verify());
  const ramNow = (id: string) => reading(directory, (reader) => ramOf(reader, id));

  it('removes one, and its room is free', async () => {
    const first = await take(store, { 0: noise(chunkBytes, 1), 1: noise(chunkBytes, 2) });
    const second = await take(store, { 0: noise(chunkBytes, 3) }, { parent: first.id });
    const collected = await remove(first.id);
    expect(collected.chunks).toBeGreaterThan(0);
    expect((await store.list()).map(({ id }) => id)).toEqual([second.id]);
    expect((await verified()).damaged).toEqual([]);
  });

  it('removes the parent of one that is being taken, and that one is whole', async () => {
    const parent = await take(store, { 0: noise(chunkBytes, 1), 1: noise(chunkBytes, 2) });
    const writer = await store.begin(facts(), parent.id);
    await writer.put('ram', chunkBytes, noise(chunkBytes, 3));
    const removing = remove(parent.id);
    await writer.put('ram', 2 * chunkBytes, noise(chunkBytes, 4));
    await removing;
    await writer.deviceState(Buffer.from('state'));
    const { id } = await writer.commit();
    expect((await ramNow(id)).subarray(0, 3 * chunkBytes)).toEqual(
      Buffer.concat([1, 3, 4].map((seed) => noise(chunkBytes, seed))),
    );
  });

  it('removes the last one: the next is built on it, and then its room comes back', async () => {
    const last = await take(store, { 0: noise(chunkBytes, 1), 1: noise(chunkBytes, 2) });
    expect(await remove(last.id)).toMatchObject({ chunks: 0 });
    const next = await take(store, { 1: noise(chunkBytes, 3) }, { parent: last.id });
    const { chunks: before } = await verified();
    await kept.afterKept(store);
    await store.collect(); // behind the one that the node began
    const { chunks, damaged } = await verified();
    expect([chunks < before, damaged]).toEqual([true, []]);
    expect((await ramNow(next.id)).subarray(0, chunkBytes)).toEqual(noise(chunkBytes, 1));
  });

  it('refuses what is unknown, or removed twice, in the words of the store', async () => {
    const { id } = await take(store, {});
    const asked = remove('20261122T000000.000Z-aaaaaa');
    await expect(asked).rejects.toMatchObject({
      code: 'store',
      message: "There is no snapshot '20261122T000000.000Z-aaaaaa'",
      hint: 'List the snapshots: `understudy snapshot ls`.',
    });
    await expect(remove(id, id)).rejects.toThrow(`There is no snapshot '${id}'`);
    await expect(remove('')).rejects.toThrow("There is no snapshot ''");
    expect(await store.list()).toEqual([]);
  });

  it('the node ends in the middle: that is said, and the next time it works without it', async () => {
    const ids = [(await take(store, {})).id, (await take(store, {})).id];
    const [first = '', second = ''] = ids;
    const broken = changingStore({ store: directory }, async (changed) => {
      await changed.remove(first);
      control.close();
      await changed.remove(second);
    });
    await expect(broken).rejects.toMatchObject({
      code: 'store',
      message: expect.stringContaining("Node 'b' of pair 'web', which writes to the store"),
      hint: expect.stringContaining('run this again'),
    });
    await store.close();
    await expect(remove(first)).rejects.toThrow('There is no snapshot');
    await remove(second);
  });

  it('the next copy waits for what the last one stores, and has the store then', async () => {
    const opening = kept.open();
    const { id } = await take(store, {});
    await kept.close(store);
    store = await opening;
    expect((await store.list()).map((one) => one.id)).toEqual([id]);
  });

  it('a store that the node has closed is not changed', async () => {
    const { id } = await take(store, {});
    await store.close();
    await expect(kept.remove(id)).rejects.toThrow('is closed');
    await remove(id);
  });
});

it('a node that has not opened its store says so', async () => {
  const node = { pair: 'web', name: 'b', control: '/nowhere' };
  const kept = new NodeStore({ directory: '/srv/kept', node, keep: undefined, log: quiet });
  const message = "Node 'b' does not write to '/srv/kept' now";
  await expect(kept.remove('x')).rejects.toMatchObject({ code: 'store', message });
  await expect(kept.collect()).rejects.toMatchObject({ code: 'store', message });
});
