// Goal: from any cut the log is found piece by piece, in order; a gap or damage is named.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { logPosition } from '../../src/base/units.ts';
import type { LogArchive, LogPiece } from '../../src/ports/snapshot-store.ts';
import { openStore } from '../../src/store/store.ts';
import { facts, piece, scratchDirectory, take } from './rig.ts';

async function follow(log: LogArchive, position: number): Promise<LogPiece[]> {
  const pieces: LogPiece[] = [];
  const cut = { vm: 'web', run: 'r1', position: logPosition(position) };
  for await (const found of log.follow(cut)) pieces.push(found);
  return pieces;
}

const ranges = (pieces: readonly LogPiece[]) =>
  pieces.map(({ from, to }) => [Number(from), Number(to)]);

it('follows a cut to the end of its run, in the order of positions', async () => {
  const directory = scratchDirectory();
  let store = await openStore({ directory });
  for (const [from, to] of [
    [300, 400],
    [100, 200],
    [200, 300],
    [200, 300],
  ] as const) {
    await store.log.append(piece(from, to));
  }
  await store.log.append(piece(200, 999, { run: 'r2' }));
  await store.log.append(piece(400, 500, { payload: Buffer.alloc(0) }));
  for (let opened = 0; opened < 2; opened += 1) {
    expect(ranges(await follow(store.log, 200))).toEqual([
      [200, 300],
      [300, 400],
      [400, 500],
    ]);
    expect(ranges(await follow(store.log, 250))).toEqual([
      [200, 300],
      [300, 400],
      [400, 500],
    ]);
    expect(await follow(store.log, 500)).toEqual([]);
    expect((await follow(store.log, 100))[0]).toEqual(piece(100, 200));
    const { payload: _, ...listed } = piece(300, 400);
    expect((await store.log.list({ vm: 'web', run: 'r1' }))[2]).toEqual(listed);
    await store.close();
    fs.rmSync(path.join(directory, 'catalogue.sqlite'));
    store = await openStore({ directory });
  }
  await store.close();
});

it('goes on behind a copy that began anew and overlaps what was there', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  await store.log.append(piece(100, 200));
  await store.log.append(piece(150, 260));
  await store.log.append(piece(260, 300));
  expect(ranges(await follow(store.log, 100))).toEqual([
    [100, 200],
    [150, 260],
    [260, 300],
  ]);
  await store.close();
});

it('names a gap when it is reached', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  await store.log.append(piece(100, 200));
  await store.log.append(piece(210, 300));
  const seen: number[] = [];
  const cut = { vm: 'web', run: 'r1', position: logPosition(100) };
  await expect(
    (async () => {
      for await (const { to } of store.log.follow(cut)) seen.push(to);
    })(),
  ).rejects.toThrow(
    "The log of 'web', run 'r1', has a gap: it ends at position 200 and goes on at 210",
  );
  expect(seen).toEqual([200]);
  await store.close();
});

it('names a piece that is damaged or missing; the others can be used', async () => {
  const directory = scratchDirectory();
  const store = await openStore({ directory });
  const { id } = await take(store, {}, { facts: { position: logPosition(150) } });
  for (let from = 100; from < 500; from += 100) await store.log.append(piece(from, from + 100));
  const fileOf = (from: number) => {
    const name = [from, from + 100].map((at) => String(at).padStart(16, '0')).join('-');
    return path.join(directory, 'logs/web/r1', `${name}.log`);
  };
  const bytes = fs.readFileSync(fileOf(200));
  bytes[bytes.length - 3] = bytes[bytes.length - 3]! ^ 1;
  fs.writeFileSync(fileOf(200), bytes);
  await expect(follow(store.log, 150)).rejects.toThrow(`'${fileOf(200)}' is damaged`);
  expect(ranges(await follow(store.log, 300))).toEqual([
    [300, 400],
    [400, 500],
  ]);
  fs.rmSync(fileOf(400));
  await expect(follow(store.log, 300)).rejects.toThrow(`'${fileOf(400)}' is missing`);
  const { damaged } = await store.verify();
  expect(damaged.map(({ snapshots }) => snapshots)).toEqual([[id], [id]]);
  expect(damaged[0]?.what).toContain(fileOf(200));
  await store.close();
});

it('keeps log from the oldest cut of its run on, also of a snapshot that is being taken', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  const old = await take(store, {}, { facts: { position: logPosition(250) } });
  const writer = await store.begin(facts({ run: 'r2', position: logPosition(100) }));
  for (let from = 100; from < 500; from += 100) {
    await store.log.append(piece(from, from + 100));
    await store.log.append(piece(from, from + 100, { run: 'r2' }));
    await store.log.append(piece(from, from + 100, { run: 'r3' }));
  }
  const left = async (run: string) => (await store.log.list({ vm: 'web', run })).length;
  expect(await store.collect()).toMatchObject({ logPieces: 1 + 4 });
  expect([await left('r1'), await left('r2'), await left('r3')]).toEqual([3, 4, 0]);
  await writer.abort();
  await store.remove(old.id);
  expect(await store.collect()).toMatchObject({ logPieces: 7 });
  await store.close();
});

it('refuses a piece that goes nowhere, or out of the store', async () => {
  const store = await openStore({ directory: scratchDirectory() });
  await expect(store.log.append(piece(1, 2, { toTimeMs: 0.5 }))).rejects.toMatchObject({
    code: 'config',
  });
  await expect(store.log.append(piece(100, 100))).rejects.toMatchObject({ code: 'config' });
  await expect(store.log.append(piece(1, 2, { run: '../x' }))).rejects.toMatchObject({
    code: 'config',
  });
  await store.close();
});
