/**
 * Goal: a store is copied in earnest, by a process that may be killed at any moment, to a directory
 * that can be one. Who cannot be the place of copies is told so, in one sentence.
 */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { logPosition } from '../../../src/base/units.ts';
import { openStore } from '../../../src/store/store.ts';
import { Copier } from '../../../src/store/tier/copier.ts';
import type { CopyMessage, CopyOrder } from '../../../src/store/tier/news.ts';
import { requirePlace } from '../../../src/store/tier/place.ts';
import { isThere, manifestThere, snapshotsThere } from '../../../src/store/tier/there.ts';
import { compiled } from '../../compiled/program.ts';
import { chunkBytes, facts, noise, piece, ramOf, reading, scratchDirectory, take } from '../rig.ts';

interface Places {
  readonly from: string;
  readonly to: string;
}

function twoPlaces(): Places {
  const directory = scratchDirectory();
  const [from, to] = [path.join(directory, 'kept'), path.join(directory, 'copies')];
  fs.mkdirSync(to);
  return { from, to };
}

const orderOf = ({ from, to }: Places, more: Partial<CopyOrder> = {}): CopyOrder => {
  return { from, to, node: { pair: 'web', name: 'b' }, ...more };
};

/** Copies what is there, and ends. */
async function copyAll(order: CopyOrder): Promise<CopyMessage[]> {
  const told: CopyMessage[] = [];
  const copier = new Copier({ order, tell: (message) => told.push(message) });
  copier.say('finish');
  await copier.run();
  return told;
}

it('copies to the end, and what is kept meanwhile when it is told to look', async () => {
  const places = twoPlaces();
  const store = await openStore({ directory: places.from });
  const first = await take(store, { 0: noise(4 * chunkBytes, 1) });
  const told: CopyMessage[] = [];
  let upToDate = () => undefined as unknown;
  const copier = new Copier({
    order: orderOf(places),
    tell: (message) => {
      told.push(message);
      if (message.type === 'upToDate') upToDate();
    },
  });
  let next = new Promise((resolve) => {
    upToDate = () => resolve(undefined);
  });
  const running = copier.run();
  await next;
  expect(await isThere(places.to, 'web', first.id)).toBe(true);
  const later = { position: logPosition(2000) };
  const second = await take(store, { 1: noise(chunkBytes, 2) }, { parent: first.id, facts: later });
  await store.log.append(piece(1000, 2000));
  next = new Promise((resolve) => {
    upToDate = () => resolve(undefined);
  });
  copier.say('look');
  await next;
  expect([...(await snapshotsThere(places.to)).entries()].sort()).toEqual(
    [first, second].map(({ id }) => [id, 'web']).sort(),
  );
  expect(await manifestThere(places.to, 'web', second.id)).toEqual(second);

  // One process writes there, and says for whom it does.
  await expect(copyAll(orderOf(places))).rejects.toMatchObject({
    code: 'store',
    message: expect.stringContaining("which copies the snapshots of node 'b' of pair 'web'"),
    hint: expect.stringContaining('Stop that node'),
    copier: { pair: 'web', name: 'b' },
    node: undefined,
  });
  copier.say('finish');
  await running;
  expect(fs.readdirSync(path.join(places.to, 'owners'))).toEqual([]);
  await reading(places.to, async (copies) => {
    expect((await copies.verify()).damaged).toEqual([]);
    expect(await ramOf(copies, second.id)).toEqual(await ramOf(store, second.id));
    expect(await copies.log.list({ vm: 'web', run: 'r1' })).toHaveLength(1);
  });
  await store.close();
});

it('stops in the middle when it is told to, and lets the store go', async () => {
  const places = twoPlaces();
  const store = await openStore({ directory: places.from });
  await take(store, { 0: noise(4 * chunkBytes, 1) });
  await store.close();
  const copier = new Copier({ order: orderOf(places), tell: () => copier.stop() });
  await copier.run();
  expect(fs.readdirSync(path.join(places.to, 'owners'))).toEqual([]);
  await copyAll(orderOf(places));
  expect((await snapshotsThere(places.to)).size).toBe(1);
});

it('says what is wrong with a store of copies in which a snapshot cannot be read', async () => {
  const places = twoPlaces();
  const store = await openStore({ directory: places.from });
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  await store.close();
  await copyAll(orderOf(places));
  const file = path.join(places.to, 'snapshots/web', `${id}.snapshot`);
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('"icount":', '"icount": '));
  fs.rmSync(path.join(places.to, 'catalogue.sqlite'));
  await expect(copyAll(orderOf(places))).rejects.toMatchObject({
    code: 'store',
    hint: expect.stringContaining(`snapshot rm ${id} --store ${places.to}`),
  });
});

describe('the place of copies', () => {
  const refused = async (from: string, to: string) =>
    await requirePlace(from, to).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );

  it('is a directory that is there, empty or a store', async () => {
    const { from, to } = twoPlaces();
    await requirePlace(from, to);
    fs.mkdirSync(path.join(to, 'lost+found'));
    await requirePlace(from, to);
    const store = await openStore({ directory: to });
    await take(store, { 0: noise(chunkBytes, 1) });
    await store.close();
    await requirePlace(from, to);
    expect(await refused(from, path.join(to, 'none'))).toMatchObject({
      code: 'store',
      mayPass: true,
      hint: expect.stringContaining('mount what it lies on'),
    });
  });

  it('is not the store, nor in it, nor has it in it, whatever it is called', async () => {
    const { from, to } = twoPlaces();
    await (await openStore({ directory: from })).close();
    const link = path.join(to, 'link');
    fs.symlinkSync(from, link);
    const above = path.join(to, 'above');
    fs.symlinkSync(path.dirname(from), above);
    const below = path.join(from, 'below');
    fs.mkdirSync(below);
    for (const [place, what] of [
      [from, 'is the store itself'],
      [link, 'is the store itself'],
      [below, 'lies in the store'],
      [path.join(link, 'below'), 'lies in the store'],
      [path.dirname(from), 'has the store in it'],
      [above, 'has the store in it'],
    ] as const) {
      expect(await refused(from, place), place).toMatchObject({
        code: 'config',
        message: `'copyTo' ${what}: current value is '${place}'`,
        hint: expect.stringContaining('another disk or host'),
      });
    }
    // Not there yet: a store that was never used.
    expect(await refused(path.join(link, 'new'), from)).toMatchObject({ code: 'config' });
  });

  it('is no file, has no other files in it, and no store of another version', async () => {
    const { from, to } = twoPlaces();
    const file = path.join(to, 'thesis');
    fs.writeFileSync(file, 'mine');
    for (const place of [file, path.join(file, 'below')]) {
      expect(await refused(from, place)).toMatchObject({
        code: 'config',
        message: expect.stringContaining("'copyTo' is no directory"),
      });
    }
    expect(await refused(from, to)).toMatchObject({
      code: 'config',
      message: expect.stringContaining('has thesis'),
    });
    fs.rmSync(file);
    fs.mkdirSync(path.join(to, 'packs'));
    const pack = path.join(to, 'packs', `${'0'.repeat(32)}.pack`);
    fs.writeFileSync(pack, Buffer.from('USPK\0\0\0\x02and more', 'latin1'));
    expect(await refused(from, to)).toMatchObject({
      code: 'config',
      message: expect.stringContaining(
        'is a store of version 2, and this program writes version 1',
      ),
    });
    fs.rmSync(pack);
    fs.mkdirSync(path.join(to, 'snapshots/web'), { recursive: true });
    const manifest = path.join(to, 'snapshots/web/x.snapshot');
    fs.writeFileSync(manifest, '{"understudy":"snapshot","version":3}\n');
    expect(await refused(from, to)).toMatchObject({
      code: 'config',
      message: expect.stringContaining('is a store of version 3'),
    });
  });

  it('may be read-only: that is said, and nothing is lost', async () => {
    const places = twoPlaces();
    const store = await openStore({ directory: places.from });
    await take(store, { 0: noise(chunkBytes, 1) });
    await store.close();
    const mounted = spawnSync('mount', ['--bind', '-o', 'ro', places.to, places.to]);
    if (mounted.status !== 0) return; // needs the right to mount
    try {
      await expect(copyAll(orderOf(places))).rejects.toMatchObject({ code: 'rights' });
    } finally {
      spawnSync('umount', [places.to]);
    }
    await copyAll(orderOf(places));
    expect((await snapshotsThere(places.to)).size).toBe(1);
  });
});

/** The process itself; it copies until it is killed. */
function copying(places: Places): ChildProcess {
  const child = fork(compiled('src/store/tier/copy-main.ts'), [JSON.stringify(orderOf(places))]);
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

it('survives SIGKILL at random moments, and goes on with what is missing', async () => {
  const places = twoPlaces();
  const store = await openStore({ directory: places.from });
  const images = [{ name: 'ram', bytes: 256 * chunkBytes }];
  const rams = new Map<string, Buffer>();
  let parent: string | undefined;
  for (let n = 1; n <= 12; n += 1) {
    const writer = await store.begin(facts({ images, position: logPosition(1000 * n) }), parent);
    if (n === 1) await writer.put('ram', 0, noise(256 * chunkBytes, 1));
    else await writer.put('ram', n * 8 * chunkBytes, noise(8 * chunkBytes, n));
    await writer.deviceState(Buffer.from('state'));
    parent = (await writer.commit()).id;
    await store.log.append(piece(1000 * n, 1000 * (n + 1)));
    rams.set(parent, await ramOf(store, parent));
  }
  let [kills, seed, most] = [0, 7, 0];
  const chance = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) / 2 ** 23;
  };
  for (let round = 0; round < 25; round += 1) {
    const child = copying(places);
    const ended = new Promise((resolve) => child.once('close', resolve));
    // From when it begins to work: the start of the program is of no interest.
    await new Promise<void>((resolve) => {
      child.on('message', ({ type }: CopyMessage) => {
        if (type === 'checked') setTimeout(resolve, chance() ** 2 * 120);
        if (type === 'upToDate') resolve();
      });
    });
    child.kill('SIGKILL');
    await ended;
    kills += 1;
    const found = await reading(places.to, async (copies) => {
      expect((await copies.verify()).damaged).toEqual([]);
      const listed = await copies.list();
      for (const { id } of listed) expect(await ramOf(copies, id)).toEqual(rams.get(id));
      return listed.length;
    }).catch((thrown: unknown) => {
      // It had not come so far as to make the store.
      if (!(thrown as Error).message.includes('no snapshot store')) throw thrown;
      return 0;
    });
    expect(found).toBeGreaterThanOrEqual(most);
    most = found;
    if (found < rams.size || round === 24) continue;
    // All is there: from the beginning.
    fs.rmSync(places.to, { recursive: true });
    fs.mkdirSync(places.to);
    most = 0;
  }
  expect(kills).toBe(25);
  const told = await copyAll(orderOf(places));
  expect(told.filter(({ type }) => type === 'copied')).toHaveLength(rams.size - most);
  await reading(places.to, async (copies) => {
    expect((await copies.verify()).damaged).toEqual([]);
    expect((await copies.list()).map(({ id }) => id).sort()).toEqual([...rams.keys()].sort());
    expect(await copies.log.list({ vm: 'web', run: 'r1' })).toHaveLength(12);
  });
  for (const folder of ['packs', 'owners', 'snapshots/web', 'logs/web/r1']) {
    const names = fs.readdirSync(path.join(places.to, folder));
    expect(names.filter((name) => name.startsWith('.new-'))).toEqual([]);
  }
  await store.close();
});
