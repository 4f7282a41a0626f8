// What a guest discards must read as zeros on both nodes: an image where it would not is refused.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { requireHoles } from '../../../src/hypervisor/disks/discard.ts';

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-discard-'));
});
afterEach(() => {
  spawnSync('umount', [dir]);
  fs.rmSync(dir, { recursive: true, force: true });
});

function image(): string {
  const file = path.join(dir, 'disk.raw');
  fs.writeFileSync(file, Buffer.alloc(64 * 1024, 'content'));
  return file;
}

test('an image that can have holes stays as it is', () => {
  const file = image();
  const before = fs.readFileSync(file);
  requireHoles([{ id: 'data', path: file, readOnly: false }]);
  expect(fs.readFileSync(file)).toEqual(before);
  requireHoles([{ id: 'data', path: path.join(dir, 'missing'), readOnly: false }]);
});

test('a file system without holes is refused, unless nothing is discarded there', (context) => {
  const mounted = spawnSync('mount', ['-t', 'ramfs', 'none', dir]);
  if (mounted.status !== 0) context.skip('no right to mount');
  const file = image();
  const disk = { id: 'data', path: file, readOnly: false };
  expect(() => requireHoles([disk])).toThrow(/cannot make holes/);
  requireHoles([{ ...disk, discard: false }]);
  requireHoles([{ ...disk, readOnly: true }]);
});
