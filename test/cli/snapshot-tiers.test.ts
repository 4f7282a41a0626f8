// Which snapshots of a pair are safe is listed, and can be waited for; with a second store that is
// away it is said that nobody knows.
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { logPosition } from '../../src/base/units.ts';
import { untilSafe } from '../../src/cli/verbs/tiers.ts';
import { openStore } from '../../src/store/store.ts';
import { Copier } from '../../src/store/tier/copier.ts';
import { scratchDir } from '../node/scratch.ts';
import { chunkBytes, noise, take } from '../store/snapshots.ts';
import { runHere } from './run.ts';

const dir = scratchDir();
const pairFile = path.join(dir, 'pair.yaml');
const [kept, copies] = [path.join(dir, 'kept'), path.join(dir, 'copies')];
const place = { pairFile, vm: 'web', store: kept, copyTo: copies };
/** Only in the second store, in both, only in the first. */
let ids: { copy: string; safe: string; local: string };

function writePair(snapshots: string): void {
  fs.writeFileSync(
    pairFile,
    `pair: web\nvm: vm.yaml\narbiter: file:terms\nsnapshots: ${snapshots}\nnodes:
  a: { listen: 'ws://127.0.0.1:7001', runDir: run-a }
  b: { listen: 'ws://127.0.0.1:7002', runDir: run-b }\n`,
  );
}

beforeAll(async () => {
  writePair('{ store: kept, copyTo: copies }');
  fs.mkdirSync(copies);
  const store = await openStore({ directory: kept });
  const next = async (n: number) => {
    const facts = { position: logPosition(1000 * n) };
    return (await take(store, { 0: noise(chunkBytes, n) }, { facts })).id;
  };
  const [copy, safe] = [await next(1), await next(2)];
  const order = { from: kept, to: copies, node: { pair: 'web', name: 'b' } };
  const copier = new Copier({ order, tell: () => undefined });
  copier.say('finish');
  await copier.run();
  await store.remove(copy);
  ids = { copy, safe, local: await next(3) };
  await store.close();
});

const list = (...more: string[]) => runHere(['snapshot', 'ls', '--pair', pairFile, ...more]);

it('ls says of each where it is, oldest first', async () => {
  const listed = await list('--json');
  expect(listed).toMatchObject({ code: 0, stderr: '' });
  const found = listed.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; tier: string });
  expect(found.map(({ id, tier }) => [id, tier])).toEqual([
    [ids.copy, 'copy'],
    [ids.safe, 'safe'],
    [ids.local, 'local'],
  ]);
  const { stdout } = await list('--vm', 'web');
  expect(stdout).toMatch(/bytes {2}copy\n.*bytes {2}safe\n.*bytes {2}local\n$/);
  expect((await list('--vm', 'db')).stdout).toBe('');
});

it('each store alone is listed without, and the second one is a store like any other', async () => {
  for (const [store, known] of [
    [kept, [ids.safe, ids.local]],
    [copies, [ids.copy, ids.safe]],
  ] as const) {
    const { stdout } = await runHere(['snapshot', 'ls', '--store', store]);
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual(known);
    expect(stdout).not.toMatch(/local|safe/);
    const verified = await runHere(['snapshot', 'verify', '--store', store]);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('all is well') });
  }
  const diff = await runHere(['snapshot', 'diff', ids.copy, ids.safe, '--store', copies]);
  expect(diff.stdout).toContain(`ram: ${chunkBytes} bytes differ`);
  const shown = await runHere(['snapshot', 'show', ids.copy, '--store', copies]);
  expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining('of web, run r1') });
});

it('nothing is said to be safe by a second store that is not there, or cannot be read', async () => {
  fs.renameSync(copies, `${copies}-away`);
  const away = await list('--json');
  expect(away.stdout.match(/"tier":"local"/g)).toHaveLength(2);
  fs.writeFileSync(copies, 'no directory');
  const unknown = await list('--json');
  expect(unknown.stderr).toContain('what is safe is not known: Cannot list snapshots');
  expect(unknown.stdout.match(/"tier":"unknown"/g)).toHaveLength(2);
  fs.rmSync(copies);
  fs.renameSync(`${copies}-away`, copies);
});

it('take --safe is refused where nothing is safe, before anything is taken', async () => {
  writePair('{ store: kept }');
  const refused = await runHere(['snapshot', 'take', '--pair', pairFile, '--safe']);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toContain("has no 'copyTo': nothing is safe");
  expect(refused.stderr).toContain('try: add `copyTo: DIRECTORY`');
  writePair('{ store: kept, copyTo: copies }');
});

it('is waited for until it is safe, or is not', async () => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  onTestFinished(() => said.mockRestore());
  await untilSafe(place, ids.safe);
  await expect(untilSafe(place, ids.local, { patienceMs: 0 })).rejects.toMatchObject({
    code: 'store',
    message: `Snapshot '${ids.local}' is kept, but not safe in '${copies}'`,
    hint: expect.stringContaining('understudy status'),
  });
  const waiting = untilSafe(place, ids.local);
  const told = expect(waiting).rejects.toMatchObject({
    cause: expect.objectContaining({ message: 'it was removed before it was copied' }),
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const store = await openStore({ directory: kept });
  await store.remove(ids.local);
  await store.close();
  await told;
  expect(said).toHaveBeenCalledWith(`${ids.local} is kept, and not in '${copies}' yet\n`);
});
