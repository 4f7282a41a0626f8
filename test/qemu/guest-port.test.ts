// Programs in the guest ask for checkpoints of their machine at its port `agent`, from the shell
// and with the header, alone and together; and go on from them.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { putInto } from '../../bench/soak/job/guest.ts';
import type { NodeProcess } from '../../src/lab/node-process.ts';
import type { SnapshotManifest } from '../../src/ports/snapshot-store.ts';
import { openStore } from '../../src/store/store.ts';
import { root } from '../compiled/program.ts';
import { PairUnderTest } from './harness/pair.ts';
import type { Terminal } from './harness/terminal.ts';
import { waitFor } from './harness/wait.ts';
import { consoleOf, RunningVerbs, untilState } from './verbs.ts';

const verbs = new RunningVerbs(() => pair.stage.dir);
let pair: PairUnderTest;
let store: string;
let a: NodeProcess;
let terminal: Terminal;

beforeAll(async () => {
  pair = await PairUnderTest.open();
  store = path.join(pair.stage.dir, 'store');
  pair.configure((file) => {
    file.snapshots = { store };
  });
  const probe = path.join(pair.stage.dir, 'probe');
  const source = path.join(root, 'test/guest/probe.c');
  execFileSync('cc', ['-static', '-I', path.join(root, 'guest'), '-o', probe, source]);
  putInto(path.join(pair.stage.dir, 'data-a.raw'), probe);
  a = await pair.boot();
  terminal = await pair.console(a);
});
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.log(pair.logs());
});
afterAll(async () => {
  await verbs.end();
  await pair.close();
});

async function kept(label: string): Promise<SnapshotManifest[]> {
  const reading = await openStore({ directory: store, mode: 'read' });
  try {
    return (await reading.list()).filter(({ guest }) => guest?.endsWith(` ${label}`) === true);
  } finally {
    await reading.close();
  }
}

/** The machine again as it was at a snapshot, in a pair of its own. */
async function restored({ id }: SnapshotManifest, name: string): Promise<Terminal> {
  const out = path.join(pair.stage.dir, name);
  verbs.run('restore', id, '--store', store, '--as', name, '--out', out);
  const pairFile = path.join(out, 'pair.yaml');
  await waitFor('the pair file', () => fs.existsSync(pairFile) || undefined);
  await untilState(pairFile, 'a', 'alone');
  return consoleOf(pairFile, 'a');
}

test('a machine that is alone cannot be kept, and both say so', async () => {
  expect(await terminal.run('understudy-ckpt early; echo code=$?')).toMatch(
    /not saved: the machine is not protected at the moment\s+code=1\r\n/,
  );
  expect(await terminal.run('/data/probe checkpoint early')).toContain('answer=-1 errno=11\r\n');
  expect(await terminal.run('/data/probe committed')).toContain('answer=0 errno=0\r\n');
});

test('a checkpoint is kept, by the shell and by the header', async () => {
  const b = pair.start('b');
  await pair.protectedBy(a, b);
  await terminal.run('step=1; understudy-ckpt "by the shell"; echo code=$?; step=2');
  expect(terminal.text).toMatch(/code=0\r\n/);
  expect(await terminal.run('/data/probe checkpoint "by the header"')).toContain(
    'answer=0 errno=0',
  );
  expect(await terminal.run('understudy-ckpt --committed; echo code=$?')).toContain('code=0\r\n');
  const many = 'for i in 1 2 3; do /data/probe sync three 3 "by three" & done; wait';
  expect((await terminal.run(many)).match(/answer=0 errno=0/g)).toHaveLength(3);
  const mixed =
    '/data/probe sync two 2 mixed & understudy-ckpt --sync two:2 mixed; echo code=$?; wait';
  const said = await terminal.run(mixed);
  expect(said).toMatch(/code=0\r\n/);
  expect(said).toContain('answer=0 errno=0');
  for (const label of ['by the shell', 'by the header', 'by three', 'mixed']) {
    expect(await kept(label), label).toHaveLength(1);
  }
});

test('who goes on from one is told that this is a restart, and nobody else', async () => {
  const [[shell], [three]] = [await kept('by the shell'), await kept('by three')];
  if (shell === undefined || three === undefined) throw new Error('nothing was kept');
  const again = await restored(shell, 'again');
  await again.until('code=10');
  expect(await again.run('echo step=$step')).toContain('step=2\r\n');
  const together = await restored(three, 'together');
  await waitFor('all three', () =>
    together.text.match(/answer=1 errno=0/g)?.length === 3 ? true : undefined,
  );
  // The pair that a restore makes keeps nothing.
  expect(await together.run('/data/probe checkpoint alone')).toContain('answer=-1 errno=95');
});
