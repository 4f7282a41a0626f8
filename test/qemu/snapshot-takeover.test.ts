// Snapshots cost no protection: the primary dies while cuts are kept one after the other, its
// backup takes over, and the next backup goes on keeping them in the same store. Meanwhile people
// take and remove some.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import YAML from 'yaml';
import { changingStore } from '../../src/cli/verbs/using-store.ts';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import { askNode } from '../../src/observe/control-client.ts';
import type { SnapshotManifest } from '../../src/ports/snapshot-store.ts';
import { openStore } from '../../src/store/store.ts';
import { PairUnderTest } from './harness/pair.ts';
import { waitFor } from './harness/wait.ts';
import { droppedBy } from './snapshot-rig.ts';
import { understudy } from './verbs.ts';

let pair: PairUnderTest;
let directory: string;
let primary: NodeProcess;
let backup: NodeProcess;

beforeAll(async () => {
  pair = await PairUnderTest.open();
  directory = path.join(pair.stage.dir, 'store');
});
afterAll(() => pair.close());

const kept = (name: string) =>
  pair.events(name).flatMap((event) => (event.type === 'snapshot' ? [event] : []));

/** To a socket that listens, also those that nobody has accepted. */
const connectionsTo = (socket: string): number =>
  fs
    .readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(` ${socket}`)).length;

async function oneMore(name: string): Promise<string> {
  const before = kept(name).length;
  return await waitFor('one more snapshot', () => kept(name)[before]?.id);
}

async function listed(): Promise<SnapshotManifest[]> {
  const { code, stdout } = await understudy('snapshot', 'ls', '--store', directory, '--json');
  expect(code).toBe(0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SnapshotManifest);
}

test('the primary dies between two snapshots, and the pair goes on keeping them', async () => {
  pair.configure((file) => {
    file.snapshots = { store: directory, every: '600ms', keep: { last: 4 } };
  });
  const { a, b } = await pair.protect();
  await waitFor('three snapshots', () => (kept('b').length >= 3 ? true : undefined));
  await a.killWithMachine();
  await pair.seen(b, 'alone');
  await pair.read('/read');
  const takeovers = pair.events('b').filter(({ type }) => type === 'takeover');
  expect(takeovers).toHaveLength(1);

  [primary, backup] = [b, pair.start('a')];
  await pair.protectedBy(primary, backup);
  await waitFor('a snapshot by the new backup', () => (kept('a').length > 0 ? true : undefined));
});

test('one is taken on a host where only the backup runs, and removed while more are kept', async () => {
  // To a verb the primary of this pair file is elsewhere.
  const file = YAML.parse(fs.readFileSync(pair.stage.pairFile, 'utf8')) as {
    nodes: { b: { runDir: string } };
  };
  file.nodes.b.runDir = path.join(pair.stage.dir, 'elsewhere');
  const pairFile = path.join(pair.stage.dir, 'backup-only.yaml');
  fs.writeFileSync(pairFile, YAML.stringify(file));
  const taken = await understudy(
    ...['snapshot', 'take', '--pair', pairFile, '--label', 'by the backup', '--json'],
  );
  expect(taken).toMatchObject({ code: 0, stderr: '' });
  const { snapshot: id } = JSON.parse(taken.stdout) as { snapshot: string };
  expect((await listed()).find((one) => one.id === id)?.label).toBe('by the backup');

  const removed = await understudy('snapshot', 'rm', id, '--pair', pairFile, '--json');
  expect(removed).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(removed.stdout)).toEqual({ removed: [id], freedBytes: expect.any(Number) });
  expect((await listed()).map((one) => one.id)).not.toContain(id);

  // The same words as without a node.
  const twice = await understudy('snapshot', 'rm', id, '--store', directory);
  expect(twice).toEqual({
    code: 1,
    stdout: '',
    stderr: `understudy: There is no snapshot '${id}'\n  try: List the snapshots: \`understudy snapshot ls\`.\n`,
  });
  const unknown = await understudy('snapshot', 'rm', '2026-nonsense', '--store', directory);
  expect(unknown).toMatchObject({ code: 1, stdout: '' });
  expect(unknown.stderr).toContain("There is no snapshot '2026-nonsense'");
});

test('the newest ones are removed, which the next are built on, and all that follow are whole', async () => {
  for (let round = 0; round < 3; round += 1) {
    const id = await oneMore('a');
    const removed = await askNode(backup.control, 'removeSnapshot', { snapshot: id });
    expect(removed).toEqual({ ok: true });
    expect(await askNode(backup.control, 'collectSnapshots')).toMatchObject({ ok: true });
  }
  const after = [await oneMore('a'), await oneMore('a')];
  expect(droppedBy(pair, 'a')).toEqual([]);
  const store = await openStore({ directory, mode: 'read' });
  const manifest = (await store.list()).find(({ id }) => id === after[1]);
  await store.close();
  expect(manifest?.parent).toBe(after[0]); // an increment, not a whole machine anew
});

test('the node dies while it is asked: that is said, and the store is removed from without it', async () => {
  const taken = await askNode<{ snapshot: string }>(primary.control, 'snapshot', { label: 'x' });
  await pair.freeze(backup);
  const connected = connectionsTo(backup.control);
  const removing = changingStore({ store: directory }, (store) => store.remove(taken.snapshot));
  const outcome = removing.catch((thrown: unknown) => thrown);
  await waitFor('the question', () => connectionsTo(backup.control) > connected || undefined);
  await backup.killWithMachine();
  expect(await outcome).toMatchObject({
    code: 'store',
    message: expect.stringContaining("Node 'a' of pair "),
    hint: expect.stringContaining('run this again'),
  });
  const again = await understudy('snapshot', 'rm', taken.snapshot, '--store', directory);
  expect(again).toMatchObject({ code: 0, stderr: '' });

  await primary.stop();
  const store = await openStore({ directory, mode: 'read' });
  const { damaged, snapshots } = await store.verify();
  const runs = new Set((await store.list()).map(({ run }) => run));
  await store.close();
  expect(damaged).toEqual([]);
  expect(snapshots).toBeGreaterThan(0);
  expect(runs.size).toBeGreaterThan(0);
});
