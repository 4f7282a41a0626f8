import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { allowedProcessors, bindThread } from '../../src/host/libc.ts';
import { OneProcessor, roomier } from '../../src/host/one-processor.ts';
import { busyShares, parseProcessorTicks } from '../../src/host/processor-load.ts';

describe('busyShares', () => {
  const look = (lines: string) => parseProcessorTicks(`cpu  9 9 9 9 9 9 9 9 9 9\n${lines}\nintr 5`);

  it('is what was not idle between two looks, of each processor', () => {
    // Goal: waiting for a disk is idle, interrupts and a hypervisor's share are not, guests count
    // once.
    const before = look('cpu0 100 0 100 700 100 0 0 0 50 0\ncpu1 0 0 0 1000 0 0 0 0 0 0');
    const after = look('cpu0 110 5 105 760 110 3 3 4 60 0\ncpu1 0 0 0 1100 0 0 0 0 0 0');
    const shares = busyShares(before, after);
    expect([...shares]).toEqual([
      [0, 0.3],
      [1, 0],
    ]);
  });

  it('leaves out what it cannot say', () => {
    // Goal: a processor that came, one that did not run, and half a line are no share of anything.
    const before = look('cpu0 1 1 1 1 1 1 1 1 0 0');
    const after = look('cpu0 1 1 1 1 1 1 1 1 0 0\ncpu2 5 0 0 5 0 0 0 0 0 0\ncpu3 1 2');
    expect(busyShares(before, after).size).toBe(0);
  });
});

describe('roomier', () => {
  const allowed = [0, 1, 2];
  const found = (shares: readonly number[], ownShare: number) =>
    roomier({ shares: new Map(shares.entries()), ownShare, allowed, processor: 1 });

  it.each([
    ['others use ours, one is idle', [0.5, 1, 0], 0.4, 2],
    ['ours is full of ourselves', [0, 1, 0], 0.95, undefined],
    ['the others are as full', [0.5, 0.9, 0.45], 0.4, undefined],
    ['a little more room is not worth it', [0.4, 0.9, 0.35], 0.4, undefined],
    ['the best of two', [0.1, 1, 0.2], 0.3, 0],
  ] as const)('%s', (_, shares, ownShare, expected) => {
    // Goal: what it uses itself goes with it, and does not count against the processor it is on.
    expect(found(shares, ownShare)).toBe(expected);
  });

  it('does not go where it may not, nor by what it does not know', () => {
    // Goal: a container's processors are not all of the machine's.
    const shares = new Map([
      [1, 1],
      [3, 0],
    ]);
    expect(roomier({ shares, ownShare: 0.2, allowed, processor: 1 })).toBeUndefined();
    expect(roomier({ shares, ownShare: 0.2, allowed, processor: 0 })).toBeUndefined();
  });
});

describe('OneProcessor', () => {
  let end: () => void = () => undefined;
  afterEach(() => end());

  const allowedOf = (pid: number) =>
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
      return /^Cpus_allowed_list:\s+(.*)$/m.exec(status)?.[1];
    });

  it.skipIf(allowedProcessors().length < 2)('binds every thread of a child', () => {
    // Goal: a process with several threads is on one processor, and it is one of ours.
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const binding = new OneProcessor(child.pid as number);
    end = () => {
      binding.close();
      child.kill('SIGKILL');
    };
    const [first, ...others] = allowedOf(child.pid as number);
    expect(allowedProcessors().map(String)).toContain(first);
    expect(others.every((list) => list === first)).toBe(true);
  });

  it.skipIf(allowedProcessors().length < 2)('lets go of one that gets nowhere', () => {
    // Goal: a processor that was chosen may be somebody else's, at a higher priority, the next
    // moment.
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    const pid = child.pid as number;
    const before = allowedOf(process.pid)[0];
    const binding = new OneProcessor(pid);
    end = () => {
      binding.close();
      child.kill('SIGKILL');
    };
    expect(allowedOf(pid)[0]).not.toBe(before);
    binding.release();
    expect(new Set(allowedOf(pid))).toEqual(new Set([before]));
  });

  it('leaves alone what has ended', () => {
    // Goal: nothing is thrown for a process that is not there.
    const gone = 2 ** 22 + 1;
    expect(bindThread(gone, [0])).toBe(false);
    expect(() => new OneProcessor(gone).close()).not.toThrow();
  });
});
