// Goal: one process writes, others read beside it; a dead owner is no obstacle, an unknown one is
// named.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { StoreInUse } from '../../src/store/owner.ts';
import { openStore } from '../../src/store/store.ts';
import { compiled } from '../compiled/program.ts';
import { chunkBytes, noise, ramOf, scratchDirectory, take } from './rig.ts';

const flagOf = (directory: string) => {
  const [name] = fs.readdirSync(path.join(directory, 'owners'));
  return path.join(directory, 'owners', name ?? 'none');
};

it('lets one process write, and says who it is', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  await expect(openStore({ directory })).rejects.toMatchObject({
    code: 'store',
    message: expect.stringContaining(`in use by process ${process.pid} on '${os.hostname()}'`),
    hint: expect.stringContaining(flagOf(directory)),
  });
  await store.close();
  expect(fs.readdirSync(path.join(directory, 'owners'))).toEqual([]);
  await (await openStore({ directory })).close();
});

it('never lets two write that come at once', async () => {
  const directory = scratchDirectory();
  for (let round = 0; round < 5; round += 1) {
    const opened = await Promise.allSettled([1, 2, 3].map(() => openStore({ directory })));
    const winners = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(winners.length).toBeLessThanOrEqual(1);
    for (const store of winners) await store.close();
  }
});

it('clears the flag of a process that is dead: gone, another since, or before the last boot', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const flag = JSON.parse(fs.readFileSync(flagOf(directory), 'utf8')) as Record<string, unknown>;
  await store.close();
  const gone = spawnSync('true').pid;
  for (const change of [{ pid: gone }, { startTime: '1' }, { bootId: 'another' }]) {
    const stale = path.join(directory, 'owners', 'stale');
    fs.writeFileSync(stale, JSON.stringify({ ...flag, ...change }));
    await (await openStore({ directory })).close();
    expect(fs.existsSync(stale)).toBe(false);
  }
});

it('does not judge a flag of another machine, or one it cannot read', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const flag = JSON.parse(fs.readFileSync(flagOf(directory), 'utf8')) as Record<string, unknown>;
  await store.close();
  const foreign = path.join(directory, 'owners', 'foreign');
  fs.writeFileSync(foreign, JSON.stringify({ ...flag, host: 'elsewhere', pid: 999_999_999 }));
  await expect(openStore({ directory })).rejects.toThrow("process 999999999 on 'elsewhere'");
  fs.writeFileSync(foreign, 'scribble');
  await expect(openStore({ directory })).rejects.toMatchObject({
    message: expect.stringContaining('an unknown process'),
    hint: expect.stringContaining(foreign),
  });
});

it('names the node that writes: here it can be asked, elsewhere the host is said', async () => {
  const directory = scratchDirectory();
  const node = { pair: 'web', name: 'b', control: '/run/b/control' };
  const store = await openStore({ directory, node });
  const inUse = (where: string) => `in use by node 'b' of pair 'web', process ${where}`;
  await expect(openStore({ directory })).rejects.toMatchObject({
    code: 'store',
    message: expect.stringContaining(inUse(`${process.pid} on '${os.hostname()}'`)),
    node,
  });
  const flag = JSON.parse(fs.readFileSync(flagOf(directory), 'utf8')) as Record<string, unknown>;
  await store.close();
  const foreign = path.join(directory, 'owners', 'foreign');
  fs.writeFileSync(foreign, JSON.stringify({ ...flag, host: 'elsewhere', machineId: 'another' }));
  const refused = await openStore({ directory }).catch((thrown: unknown) => thrown);
  expect(refused).toBeInstanceOf(StoreInUse);
  expect(refused).toMatchObject({
    message: expect.stringContaining(inUse(`${process.pid} on 'elsewhere'`)),
    hint: expect.stringContaining("Run this on 'elsewhere': it asks that node there."),
    node: undefined,
  });
});

it('is read by others while it is written, also behind a collection', async () => {
  const directory = scratchDirectory();
  await expect(openStore({ directory, mode: 'read' })).rejects.toThrow('no snapshot store');
  const store = await openStore({ directory });
  const first = await take(store, { 0: noise(4 * chunkBytes, 1) });
  const reader = await openStore({ directory, mode: 'read' });
  expect((await reader.list()).map(({ id }) => id)).toEqual([first.id]);
  const second = await take(store, { 1: noise(3 * chunkBytes, 2) }, { parent: first.id });
  await store.remove(first.id);
  expect((await store.collect()).chunks).toBeGreaterThan(0); // what is left lies in a new pack
  const ram = await ramOf(reader, second.id);
  expect(ram.subarray(0, chunkBytes)).toEqual(noise(4 * chunkBytes, 1).subarray(0, chunkBytes));
  expect((await reader.verify()).damaged).toEqual([]);
  await expect(reader.open(first.id)).rejects.toThrow('There is no snapshot');
  await expect(reader.remove(second.id)).rejects.toThrow('open for reading only');
  await expect(take(reader, {})).rejects.toThrow('open for reading only');
  await reader.close();
  await store.close();
});

it('says what is wrong with a directory that may not be written, and reads it all the same', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  await store.close();
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    // For root only a read-only mount is read-only.
    const mounted = spawnSync('mount', ['--bind', '-o', 'ro', directory, directory]);
    if (mounted.status !== 0) return;
  } else {
    fs.chmodSync(path.join(directory, 'owners'), 0o500);
  }
  try {
    await expect(openStore({ directory })).rejects.toMatchObject({
      code: 'rights',
      hint: expect.stringContaining('right to write'),
    });
    const reader = await openStore({ directory, mode: 'read' });
    expect((await ramOf(reader, id)).subarray(0, chunkBytes)).toEqual(noise(chunkBytes, 1));
    await reader.close();
  } finally {
    if (isRoot) spawnSync('umount', [directory]);
    else fs.chmodSync(path.join(directory, 'owners'), 0o700);
  }
});

it('loses nothing on a disk that is really full', async () => {
  const directory = scratchDirectory();
  const size = 400_000;
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory]);
  if (mounted.status !== 0) return; // needs the right to mount
  try {
    const store = await openStore({ directory });
    const first = await take(store, { 0: noise(4 * chunkBytes, 1) });
    let refused: unknown;
    for (let seed = 2; seed < 30 && refused === undefined; seed += 1) {
      await take(store, { 0: noise(4 * chunkBytes, seed) }).catch((thrown: unknown) => {
        refused = thrown;
      });
    }
    expect(refused).toMatchObject({ code: 'resources' });
    expect((await ramOf(store, first.id)).subarray(0, 4 * chunkBytes)).toEqual(
      noise(4 * chunkBytes, 1),
    );
    expect((await store.verify()).damaged).toEqual([]);
    for (const { id } of (await store.list()).slice(1)) await store.remove(id);
    await store.collect();
    await take(store, { 0: noise(4 * chunkBytes, 99) }); // there is room again
    await store.close();
    await (await openStore({ directory })).close();
  } finally {
    spawnSync('umount', [directory]);
  }
});

it('survives SIGKILL at sampled moments of a real process', async () => {
  const directory = scratchDirectory();
  for (const afterMs of [0, 3, 11, 23, 37, 61]) {
    const child = spawn(process.execPath, [compiled('test/store/writer-main.ts'), directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text: Buffer) => {
        const isFirst = said === '';
        said += text.toString();
        if (isFirst) setTimeout(() => child.kill('SIGKILL'), afterMs);
      });
      child.on('close', () => resolve());
    });
    const store = await openStore({ directory });
    const there = await store.list();
    for (const [, id, seed] of said.matchAll(/committed (\S+) (\d+)\n/g)) {
      expect(there.map((one) => one.id)).toContain(id);
      const ram = await ramOf(store, id ?? '');
      expect(ram.subarray(0, 2 * chunkBytes)).toEqual(noise(2 * chunkBytes, Number(seed)));
    }
    expect((await store.verify()).damaged).toEqual([]);
    for (const { id } of there) await store.remove(id);
    await store.collect();
    expect(fs.readdirSync(path.join(directory, 'packs'))).toEqual([]);
    await store.close();
  }
});
