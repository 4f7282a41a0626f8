// Whether logind takes a run directory away when its user logs out, by the files that decide it.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removesIpc } from '../../src/host/remove-ipc.ts';

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'us-ipc-'));
  put('run/systemd/seats/seat0', '');
});
afterEach(() => fs.rmSync(root, { recursive: true }));

function put(file: string, text: string): void {
  fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  fs.writeFileSync(path.join(root, file), text);
}

const alice = { dir: '/dev/shm/understudy', uid: 1000, user: 'alice' };
const removes = (change: Partial<typeof alice> = {}): boolean =>
  removesIpc({ ...alice, ...change, root });

test('of a user that logs in, in /dev/shm, where logind runs', () => {
  expect(removes()).toBe(true);
  expect(removes({ uid: 0 })).toBe(false);
  expect(removes({ uid: 999 })).toBe(false);
  expect(removes({ dir: '/run/understudy' })).toBe(false);
  fs.rmSync(path.join(root, 'run'), { recursive: true });
  expect(removes()).toBe(false);
});

test('not of one that lingers', () => {
  put('var/lib/systemd/linger/alice', '');
  expect(removes()).toBe(false);
  expect(removes({ user: 'bob' })).toBe(true);
});

test('as logind is told, by the last word', () => {
  put('etc/systemd/logind.conf', '[Login]\n#RemoveIPC=no\n');
  expect(removes()).toBe(true);
  put('etc/systemd/logind.conf', '[Login]\nRemoveIPC=no\n');
  expect(removes()).toBe(false);
  put('usr/lib/systemd/logind.conf.d/90-distribution.conf', '[Login]\nRemoveIPC=yes\n');
  expect(removes()).toBe(true);
  put('etc/systemd/logind.conf.d/95-local.conf', '[Login]\nRemoveIPC = off\n');
  expect(removes()).toBe(false);
});
