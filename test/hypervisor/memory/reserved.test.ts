// Memory and log that were promised to a machine are there, whoever fills the file system: room is
// reserved, and stays a hole for whoever reads.
import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { nextData } from '../../../src/host/libc.ts';
import { createRamFile, digestRam, reserveRam } from '../../../src/hypervisor/memory/ram.ts';
import { LogFollower } from '../../../src/hypervisor/record/log-follower.ts';

const bytes = 4 * 1024 * 1024;
let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync('/dev/shm/understudy-reserved-');
});
afterEach(() => fs.rmSync(dir, { recursive: true }));

const allocated = (file: string): number => 512 * fs.statSync(file).blocks;

test('a RAM file has its memory, and is as empty as it was', async () => {
  const file = `${dir}/ram`;
  createRamFile(file, bytes);
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, Buffer.alloc(4096, 7), 0, 4096, 65536);
  const before = await digestRam(file);
  expect(allocated(file)).toBeLessThan(bytes);
  await reserveRam(file);
  expect(allocated(file)).toBe(bytes);
  expect(fs.statSync(file).size).toBe(bytes);
  expect(nextData(fd, 0)).toEqual({ from: 65536, to: 65536 + 4096 });
  expect(await digestRam(file)).toEqual(before);
  fs.closeSync(fd);
});

test('a RAM file that can never have its memory is refused', async () => {
  const file = `${dir}/ram`;
  createRamFile(file, 2 ** 50);
  await expect(reserveRam(file)).rejects.toThrow(/There is no room for the guest's memory/);
});

test('a log has room ahead of what was written', () => {
  const file = `${dir}/log`;
  fs.writeFileSync(file, Buffer.alloc(100));
  const rooms: boolean[] = [];
  const follower = new LogFollower({
    ...{ file, from: 12, onChunk: () => undefined },
    onError: (error) => {
      throw error;
    },
    onRoom: (isThere) => rooms.push(isThere),
  });
  try {
    expect(allocated(file)).toBeGreaterThanOrEqual(limits.logReserveBytes);
    expect(fs.statSync(file).size).toBe(100);
    expect(rooms).toEqual([]);
  } finally {
    follower.close();
  }
});
