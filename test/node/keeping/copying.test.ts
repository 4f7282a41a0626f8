// What a node keeps is copied beside it, by a process of its own: a place that is away, in use or
// hanging is a concern, told once, and nothing waits for it.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Concerns } from '../../../src/node/concerns.ts';
import { Copying } from '../../../src/node/keeping/copying.ts';
import { NodeStore } from '../../../src/node/keeping/node-store.ts';
import { type NodeEvent, Reporter } from '../../../src/node/report.ts';
import { openStore } from '../../../src/store/store.ts';
import { checkPlace } from '../../../src/store/tier/copy-process.ts';
import type { CopyOrder } from '../../../src/store/tier/news.ts';
import { snapshotsThere } from '../../../src/store/tier/there.ts';
import { chunkBytes, noise, scratchDirectory, take } from '../../store/rig.ts';

let dir: string;
let order: CopyOrder;
let events: NodeEvent[];
let said: string[];
let concerns: Concerns;
let copying: Copying;
let kept: NodeStore;

/** A node whose copying is told to hang after so long. */
function begin(hangMs?: number): void {
  dir = scratchDirectory();
  const node = { pair: 'web', name: 'b', control: path.join(dir, 'control') };
  order = { from: path.join(dir, 'kept'), to: path.join(dir, 'copies'), node };
  fs.mkdirSync(order.to);
  events = [];
  said = [];
  const reporter = new Reporter();
  reporter.events.subscribe((event) => events.push(event));
  const hear = (_: object, text: string) => said.push(text);
  const log = { info: hear, warn: hear, error: hear };
  concerns = new Concerns({ reporter, log });
  const about = { order, pidDir: path.join(dir, 'run'), concerns, reporter, log };
  copying = new Copying({ ...about, ...(hangMs === undefined ? {} : { hangMs }) });
  kept = new NodeStore({ directory: order.from, node, keep: undefined, copying, log });
}
beforeEach(() => begin());
afterEach(() => copying.close());

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}

const isCopied = (id: string) => () =>
  events.some((event) => event.type === 'snapshotCopied' && event.id === id);
const problems = () => concerns.present.map(({ problem }) => problem);

it('copies what is kept, and ends when the store is closed', async () => {
  const store = await kept.open();
  const first = await take(store, { 0: noise(chunkBytes, 1) });
  await kept.afterKept(store);
  await until(isCopied(first.id));
  const second = await take(store, { 0: noise(chunkBytes, 2) }, { parent: first.id });
  await kept.afterKept(store);
  await kept.close(store);
  await until(isCopied(second.id));
  await until(() => fs.readdirSync(path.join(order.to, 'owners')).length === 0);
  expect([...(await snapshotsThere(order.to)).keys()].sort()).toEqual([first.id, second.id].sort());
  expect(problems()).toEqual([]);

  // The next copy of this node goes on.
  const again = await kept.open();
  const third = await take(again, { 0: noise(chunkBytes, 3) });
  await kept.afterKept(again);
  await until(isCopied(third.id));
  await kept.close(again);
});

it('a node that starts copies what an earlier life has left, and lets go', async () => {
  kept.begin(); // nothing was ever kept
  const before = await openStore({ directory: order.from });
  const { id } = await take(before, { 0: noise(chunkBytes, 1) });
  await before.close();
  expect(fs.readdirSync(order.to)).toEqual([]);
  kept.begin();
  await until(isCopied(id));
  await until(() => fs.readdirSync(path.join(order.to, 'owners')).length === 0);
  expect(problems()).toEqual([]);
});

it('a place that is away is a concern, once, and over when it is there', async () => {
  fs.rmdirSync(order.to);
  const store = await kept.open();
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  await kept.afterKept(store);
  await until(() => problems().length > 0);
  expect(problems()[0]).toContain(`There is no directory '${order.to}' for copies of snapshots`);
  expect(problems()[0]).toContain('mount what it lies on');
  // It is tried again, and nothing of that is told again.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(events.filter(({ type }) => type === 'concern')).toHaveLength(1);
  fs.mkdirSync(order.to);
  await until(isCopied(id));
  await until(() => problems().length === 0);
  await kept.close(store);
});

it('one that another process writes to is a concern, and says whose it is', async () => {
  const other = await openStore({ directory: order.to, copier: { pair: 'db', name: 'a' } });
  const store = await kept.open();
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  await kept.afterKept(store);
  await until(() => problems().length > 0);
  expect(problems()[0]).toContain("which copies the snapshots of node 'a' of pair 'db'");
  await other.close();
  await until(isCopied(id));
  await kept.close(store);
});

it('what the other node of the pair keeps it from at the end is left for later', async () => {
  const other = await openStore({ directory: order.to, copier: { pair: 'web', name: 'a' } });
  const store = await kept.open();
  const { id } = await take(store, { 0: noise(chunkBytes, 1) });
  await kept.close(store);
  await until(() => said.includes('snapshots are left to be copied later'));
  expect(events).toEqual([]);
  await other.close();
  kept.begin();
  await until(isCopied(id));
});

it('one that hangs keeps nobody waiting: snapshots are kept, it is told, the node ends', async () => {
  begin(300);
  fs.mkdirSync(path.join(order.to, 'snapshots/web'), { recursive: true });
  // To open it for reading waits for ever, as a share does whose server is away.
  spawnSync('mkfifo', [path.join(order.to, 'snapshots/web/x.snapshot')]);
  const store = await kept.open();
  const ids: string[] = [];
  for (let seed = 1; seed <= 3; seed += 1) {
    ids.push((await take(store, { 0: noise(chunkBytes, seed) })).id);
    await kept.afterKept(store);
  }
  await until(() => problems().length > 0);
  expect(problems()[0]).toContain(`'${order.to}' has not answered`);
  expect((await store.list()).map(({ id }) => id).sort()).toEqual(ids.sort());
  await kept.close(store);
  // A start does not wait for it either.
  await checkPlace(order, path.join(dir, 'run'), { ms: 200 });
  await kept.end();
  await until(() => fs.readdirSync(path.join(dir, 'run')).length === 0);
});

it('a start is refused with a place that can never be one', async () => {
  const never = { ...order, to: order.from };
  fs.mkdirSync(order.from);
  await expect(checkPlace(never, path.join(dir, 'run'))).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining("'copyTo' is the store itself"),
  });
  fs.rmdirSync(order.to);
  await checkPlace(order, path.join(dir, 'run')); // away: it may be there later
});
