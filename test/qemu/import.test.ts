// A raw image becomes a machine that runs and can be protected: the example guest's disk with a
// kernel beside it, and a disk that brings its own boot loader.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askNode } from '../../src/observe/control-client.ts';
import { guestDir } from './harness/booted.ts';
import type { Terminal } from './harness/terminal.ts';
import { bootMs, waitFor } from './harness/wait.ts';
import { consoleOf, controlOf, RunningVerbs, understudy, untilState } from './verbs.ts';

const { append } = JSON.parse(fs.readFileSync(`${guestDir}/guest.json`, 'utf8')) as {
  append: string;
};
let dir: string;
let verbs: RunningVerbs;

beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-import-'));
  verbs = new RunningVerbs(() => dir);
});

afterEach(async () => {
  await verbs.end();
  fs.rmSync(dir, { recursive: true, force: true });
});

/** Imports an image; returns the pair file. */
async function imported(image: string, ...options: string[]): Promise<string> {
  const args = ['import', image, '--as', 'imported', '--out', path.join(dir, 'out')];
  const ended = await understudy(...args, '--memory', '128MiB', '--json', ...options);
  expect(ended).toMatchObject({ code: 0 });
  return (JSON.parse(ended.stdout) as { pair: string }).pair;
}

/** Starts node a; returns the console of the guest when its services answer. */
async function started(pairFile: string): Promise<Terminal> {
  verbs.run('node', '--pair', pairFile, '--name', 'a');
  const terminal = await waitFor('the console', () => consoleOf(pairFile, 'a'));
  await terminal.until('understudy-guest ready', bootMs);
  return terminal;
}

test('an imported disk with a kernel beside it: the guest answers, with what is on the disk', async () => {
  const image = path.join(dir, 'guest.raw');
  execFileSync('cp', ['--sparse=always', `${guestDir}/disk.raw`, image]);
  const before = fs.readFileSync(image);
  const kernel = ['--kernel', `${guestDir}/vmlinuz`, '--initrd', `${guestDir}/initrd.img`];
  const pairFile = await imported(image, ...kernel, '--append', append);
  const terminal = await started(pairFile);
  const said = await terminal.run('cat /run/data-on; head -n 1 /data/ledger; ip link show eth0');
  expect(said).toMatch(/^disk\r?$/m);
  expect(said).toMatch(/^0000000001 /m);
  expect(said).toContain('link/ether 52:54:00');
  expect(fs.readFileSync(image).equals(before)).toBe(true);
});

const hasBootLoader = ['syslinux', 'mformat', 'mcopy'].every((tool) =>
  (process.env.PATH ?? '').split(':').some((place) => fs.existsSync(path.join(place, tool))),
);

/** A disk that the firmware boots: FAT, SYSLINUX, and the example guest's kernel and programs. */
function bootableDisk(): string {
  const image = path.join(dir, 'boot.raw');
  const config = path.join(dir, 'syslinux.cfg');
  const guest = ` KERNEL vmlinuz\n INITRD initrd.img\n APPEND ${append}\n`;
  fs.writeFileSync(config, `SERIAL 0 115200\nDEFAULT linux\nLABEL linux\n${guest}`);
  fs.writeFileSync(image, '');
  fs.truncateSync(image, 64 << 20);
  const env = { ...process.env, MTOOLS_SKIP_CHECK: '1' };
  const run = (tool: string, ...args: string[]): void => {
    execFileSync(tool, args, { env, stdio: 'pipe' });
  };
  run('mformat', '-i', image, ...['-t', '64', '-h', '64', '-n', '32', '-H', '0'], '::');
  run('mcopy', '-i', image, `${guestDir}/vmlinuz`, `${guestDir}/initrd.img`, config, '::');
  run('syslinux', '--install', image);
  return image;
}

test.skipIf(!hasBootLoader)('a disk with its own boot loader boots, and is protected', async () => {
  const pairFile = await imported(bootableDisk());
  const terminal = await started(pairFile);
  expect(terminal.text).toContain('SYSLINUX');
  verbs.run('node', '--pair', pairFile, '--name', 'b');
  await untilState(pairFile, 'a', 'protected');
  const equal = { ok: true, equal: true, differences: [] };
  expect(await askNode(controlOf(pairFile, 'a'), 'verify')).toEqual(equal);
  const logOfB = fs.readFileSync(path.join(dir, 'run1.log'), 'utf8');
  expect(logOfB).toContain('protecting');
  expect(logOfB).not.toContain('the copy is discarded');
});
