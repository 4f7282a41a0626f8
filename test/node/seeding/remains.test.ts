// RAM of a copy that was given up is kept for the next seed, and not a minute longer.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { SeedRemains } from '../../../src/node/seeding/remains.ts';
import { scratchDir } from '../scratch.ts';

const dir = scratchDir();
const old = path.join(dir, 'old');
const fresh = path.join(dir, 'fresh');

describe('what seeds leave', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    fs.rmSync(fresh, { force: true });
    fs.writeFileSync(old, '12345678');
  });
  afterEach(() => vi.useRealTimers());

  it('goes to the next seed once', () => {
    const remains = new SeedRemains();
    remains.keep({ ramFile: old, interrupted: '3.1' });
    expect(remains.moveTo(fresh, 8)).toEqual({ ramFile: fresh, interrupted: '3.1' });
    expect(fs.readFileSync(fresh, 'utf8')).toBe('12345678');
    expect(remains.moveTo(path.join(dir, 'other'), 8)).toBeUndefined();
  });

  it('RAM of another size is of no use', () => {
    const remains = new SeedRemains();
    remains.keep({ ramFile: old, interrupted: undefined });
    expect(remains.moveTo(fresh, 9)).toBeUndefined();
    expect(fs.existsSync(old)).toBe(false);
  });

  it('an attempt that received nothing does not replace what is kept', () => {
    const remains = new SeedRemains();
    remains.keep({ ramFile: old, interrupted: '3.1' });
    remains.keep({ ramFile: path.join(dir, 'none'), interrupted: undefined });
    expect(remains.moveTo(fresh, 8)?.interrupted).toBe('3.1');
  });

  it('is removed when nobody comes', () => {
    const remains = new SeedRemains();
    remains.keep({ ramFile: old, interrupted: '3.1' });
    vi.advanceTimersByTime(limits.seedKeepMs - 1);
    expect(fs.existsSync(old)).toBe(true);
    vi.advanceTimersByTime(1);
    expect(fs.existsSync(old)).toBe(false);
    expect(remains.moveTo(fresh, 8)).toBeUndefined();
  });

  it('seeds that are given up come at longer and longer intervals, until one succeeds', () => {
    const remains = new SeedRemains();
    const pauses = Array.from({ length: 8 }, () => remains.abandoned());
    expect(pauses.slice(0, 3)).toEqual([2000, 4000, 8000]);
    expect(pauses.at(-1)).toBe(limits.seedPauseMaxMs);
    remains.succeeded();
    expect(remains.abandoned()).toBe(2000);
  });
});
