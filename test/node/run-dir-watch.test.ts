// A run directory that is removed, or moved away, under a node that runs: what its processes have
// open is at its place again, for whoever opens it by its name.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimRunDir } from '../../src/node/run-dir.ts';
import { RunDirWatch } from '../../src/node/run-dir-watch.ts';
import { scratchDir } from './scratch.ts';

let dir: string;
let child: ChildProcess;
let watch: RunDirWatch;
let madeAnew: number;
let told: [string, string | undefined][];

const scratch = scratchDir();

beforeEach(async () => {
  dir = path.join(fs.mkdtempSync(path.join(scratch, 't')), 'run');
  const runDir = claimRunDir(dir);
  fs.mkdirSync(path.join(dir, 'm1/successor'), { recursive: true });
  const log = path.join(dir, 'm1/successor.log');
  fs.writeFileSync(log, 'what was logged\n');
  // Like a QEMU: it has a file open, and was told of a directory that it holds nothing in.
  child = spawn('tail', ['-f', log, path.join(dir, 'm1/successor/qmp')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  madeAnew = 0;
  told = [];
  watch = new RunDirWatch({
    runDir,
    pids: () => [child.pid ?? 0],
    concerns: { tell: (about, problem) => told.push([about, problem]) },
    onMadeAnew: async () => {
      madeAnew += 1;
    },
  });
});
afterEach(() => {
  child.kill('SIGKILL');
  watch.close();
});

test('one that is there is left alone', async () => {
  await watch.look();
  expect([madeAnew, told]).toEqual([0, []]);
});

for (const [what, take] of [
  ['removed', (from: string) => fs.rmSync(from, { recursive: true })],
  ['moved away', (from: string) => fs.renameSync(from, `${from}-elsewhere`)],
] as const) {
  test(`one that is ${what} is made anew, with what is still open`, async () => {
    take(dir);
    await watch.look();
    expect(fs.statSync(dir).mode & 0o777).toBe(0o700);
    expect(fs.readFileSync(path.join(dir, 'm1/successor.log'), 'utf8')).toBe('what was logged\n');
    expect(fs.statSync(path.join(dir, 'm1/successor')).isDirectory()).toBe(true);
    expect(fs.readFileSync(path.join(dir, 'node.pid'), 'utf8')).toContain(`${process.pid} `);
    expect(madeAnew).toBe(1);
    expect(told).toEqual([['run directory', expect.stringMatching(/made anew.*RemoveIPC=no/)]]);
    await watch.look();
    expect(madeAnew).toBe(1);
  });
}

test('one that cannot be made anew is told of for as long as that lasts', async () => {
  const elsewhere = `${dir}-elsewhere`;
  fs.renameSync(dir, elsewhere);
  fs.writeFileSync(dir, 'somebody else has this name');
  await watch.look();
  expect(told).toEqual([['run directory', expect.stringMatching(/cannot be made anew/)]]);
  fs.rmSync(dir);
  fs.renameSync(elsewhere, dir);
  await watch.look();
  expect(told.at(-1)).toEqual(['run directory', undefined]);
});
