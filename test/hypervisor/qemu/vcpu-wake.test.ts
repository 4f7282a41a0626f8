// A vCPU must be woken again and again, by one write at a time.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { VcpuWake } from '../../../src/hypervisor/qemu/vcpu-wake.ts';

let dir = '';
beforeEach(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-wake-'));
});
afterEach(() => fs.rmSync(dir, { recursive: true }));

it('the chip is told to be read, once until QEMU has read that', () => {
  const wake = new VcpuWake(`${dir}/flash`);
  const qemu = fs.openSync(`${dir}/flash.in`, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const said = (): string => {
    const bytes = Buffer.alloc(200);
    return bytes.toString('latin1', 0, fs.readSync(qemu, bytes));
  };
  wake.wake();
  wake.wake();
  expect(said()).toBe('writeb 0xfffffff0 0xff\n');
  wake.wake();
  expect(said()).toBe('writeb 0xfffffff0 0xff\n');
  wake.destroy();
  wake.wake();
  fs.closeSync(qemu);
});

it('nobody else may write there, and answers are kept nowhere', () => {
  const wake = new VcpuWake(`${dir}/flash`);
  expect(fs.statSync(`${dir}/flash.in`).mode & 0o777).toBe(0o600);
  fs.writeFileSync(`${dir}/flash.out`, 'OK\n', { flag: 'r+' });
  expect(fs.readFileSync(`${dir}/flash.out`, 'utf8')).toBe('');
  wake.destroy();
});
