// Goal: a store in a thread is the same store, call by call, and its thread stands back, ends, and
// is missed.
import fs from 'node:fs';
import os from 'node:os';
import { expect, it, onTestFinished } from 'vitest';
import { storeLimits } from '../../src/store/limits.ts';
import { openStoreInThread, storeThread } from '../../src/store/thread/store-client.ts';
import { chunkBytes, facts, noise, piece, ramOf, reading, scratchDirectory, take } from './rig.ts';

const node = { pair: 'web', name: 'b', control: '/nowhere' };

async function openOne(directory = scratchDirectory()) {
  const store = await openStoreInThread({ directory, node });
  onTestFinished(() => store.close().catch(() => undefined));
  return { directory, store };
}

/** Threads of this process with this niceness. */
function threadsAt(niceness: number): number {
  const threads = fs.readdirSync('/proc/self/task').map(Number);
  return threads.filter((thread) => os.getPriority(thread) === niceness).length;
}

it('keeps what is put, and log, and removes and collects (1)', async () => {
  const { directory, store } = await openOne();
  const first = await take(store, { 0: noise(chunkBytes, 1), 1: noise(chunkBytes, 2) });
  const later = { takenAtMs: first.takenAtMs + 1000 };
  const second = await take(store, { 1: noise(chunkBytes, 3) }, { parent: first.id, facts: later });
  expect(second.parent).toBe(first.id);
  expect(await store.list({ vm: 'web' })).toEqual([first, second]);
  expect((await store.usage()).map(({ id }) => id)).toEqual([first.id, second.id]);
  await store.log.append(piece(1000, 2000));
  await store.remove(first.id);
  expect((await store.collect()).chunks).toBeGreaterThan(0);
  await store.close();
  await reading(directory, async (reader) => {
    expect((await ramOf(reader, second.id)).subarray(0, 2 * chunkBytes)).toEqual(
      Buffer.concat([1, 3].map((seed) => noise(chunkBytes, seed))),
    );
    expect(await reader.log.list({ vm: 'web', run: 'r1' })).toHaveLength(1);
    expect((await reader.verify()).damaged).toEqual([]);
  });
});

it('takes of a view what it shows, and leaves the rest of its memory where it is (1)', async () => {
  const { directory, store } = await openOne();
  const memory = noise(4 * chunkBytes, 7);
  const writer = await store.begin(facts());
  const put = writer.put('ram', 0, memory.subarray(chunkBytes, 2 * chunkBytes));
  memory.fill(0xff, 3 * chunkBytes); // elsewhere, and still ours
  await put;
  await writer.deviceState(memory.subarray(0, 10));
  const { id } = await writer.commit();
  const ram = await reading(directory, (reader) => ramOf(reader, id));
  expect(ram.subarray(0, chunkBytes)).toEqual(
    noise(4 * chunkBytes, 7).subarray(chunkBytes, 2 * chunkBytes),
  );
  const state = await reading(directory, async (reader) => (await reader.open(id)).deviceState());
  expect(state).toEqual(noise(4 * chunkBytes, 7).subarray(0, 10));
});

it('says what is wrong in the words of the store, and goes on (1)', async () => {
  const { store } = await openOne();
  await expect(store.remove('nothing')).rejects.toMatchObject({
    name: 'UnderstudyError',
    code: 'store',
    message: "There is no snapshot 'nothing'",
    hint: 'List the snapshots: `understudy snapshot ls`.',
  });
  const writer = await store.begin(facts());
  await expect(writer.put('ram', 1, noise(chunkBytes, 1))).rejects.toThrow(
    'Cannot take the snapshot so',
  );
  await expect(writer.put('disk.none', 0, noise(chunkBytes, 1))).rejects.toThrow(
    "no image 'disk.none'",
  );
  await writer.abort();
  await writer.abort();
  await expect(writer.commit()).rejects.toThrow('was not begun, or is over');
  await take(store, {});
});

it('one that another writes to is refused, and the thread ends', async () => {
  const { directory, store } = await openOne();
  const before = threadsAt(storeLimits.threadNiceness);
  await expect(openStoreInThread({ directory, node })).rejects.toMatchObject({
    code: 'store',
    message: expect.stringContaining('in use by'),
  });
  expect(threadsAt(storeLimits.threadNiceness)).toBe(before);
  await take(store, {});
});

it('its thread stands back, and is gone behind close, which may be called twice (3)', async () => {
  if (os.getPriority() > 0) return; // a suite that was started with `nice` has no such level
  const before = threadsAt(storeLimits.threadNiceness);
  const { store } = await openOne();
  expect(threadsAt(storeLimits.threadNiceness)).toBe(before + 1);
  await Promise.all([store.close(), store.close()]);
  expect(threadsAt(storeLimits.threadNiceness)).toBe(before);
  await expect(store.list()).rejects.toMatchObject({
    code: 'store',
    message: expect.stringContaining('is closed'),
  });
});

it('a thread that is lost is told to whoever waits for it, and to all who come later (2)', async () => {
  const start = { directory: scratchDirectory(), node };
  const thread = storeThread(start);
  const store = await openStoreInThread(start, thread);
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  const waiting = store.usage();
  const lost = { code: 'store', message: `Store '${start.directory}' has lost its thread` };
  const told = expect(waiting).rejects.toMatchObject(lost);
  await thread.terminate();
  await told;
  await expect(store.begin(facts())).rejects.toMatchObject(lost);
  await expect(store.close()).rejects.toMatchObject(lost);
  const kept = await reading(start.directory, (reader) => reader.list());
  expect(kept.map((manifest) => manifest.id)).toEqual([id]);
});
