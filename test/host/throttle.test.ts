// Goal: a throttled process stands still for a share of the time, and always runs on afterwards.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Throttle } from '../../src/host/throttle.ts';

let child: ChildProcess | undefined;
afterEach(() => {
  child?.kill('SIGKILL');
});

const state = (pid: number): string =>
  /\) (\S)/.exec(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '?';

test('it stands still in between, not when suspended, and not after the lag is gone', async () => {
  child = spawn('sleep', ['60']);
  const pid = child.pid ?? 0;
  const throttle = new Throttle(pid);
  throttle.share = 0.75;
  const seen = new Set<string>();
  for (let n = 0; n < 40; n += 1) {
    seen.add(state(pid));
    await sleep(3);
  }
  expect(seen).toContain('T');
  expect(seen).toContain('S');
  throttle.suspend();
  await sleep(5);
  for (let n = 0; n < 10; n += 1) {
    expect(state(pid)).not.toBe('T');
    await sleep(3);
  }
  throttle.resume();
  throttle.share = 0;
  await sleep(60);
  expect(state(pid)).not.toBe('T');
});

test('once closed it sends nothing more, although a cut that was under way resumes it', async () => {
  child = spawn('sleep', ['60']);
  const throttle = new Throttle(child.pid ?? 0);
  throttle.share = 0.75;
  throttle.close();
  throttle.resume();
  throttle.share = 0.75;
  for (let n = 0; n < 20; n += 1) {
    expect(state(child.pid ?? 0)).not.toBe('T');
    await sleep(3);
  }
});
