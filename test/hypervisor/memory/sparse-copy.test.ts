// Goal: a copied image has every byte and every hole of the original, or there is none.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { copySparse } from '../../../src/hypervisor/memory/sparse-copy.ts';
import { scratchDir } from '../../node/scratch.ts';

const dir = scratchDir();
const at = (name: string): string => path.join(dir, name);
const KiB = 1024;
const MiB = 1024 * KiB;

/** 40 MiB, with data at its begin, in its middle and at its end. */
function holed(name: string): string {
  const fd = fs.openSync(at(name), 'w');
  for (const [offset, bytes] of [
    [0, 5],
    [7 * MiB + 3, 3 * MiB],
    [40 * MiB - 1, 1],
  ] as const) {
    fs.writeSync(fd, Buffer.alloc(bytes, 1 + (offset % 250)), 0, bytes, offset);
  }
  fs.closeSync(fd);
  return at(name);
}

it('has every byte, and the holes', async () => {
  const from = holed('holed');
  const seen: number[] = [];
  await copySparse(from, at('copy'), { onProgress: (bytes) => seen.push(bytes) });
  expect(fs.readFileSync(at('copy')).equals(fs.readFileSync(from))).toBe(true);
  expect(fs.statSync(at('copy')).blocks * 512).toBeLessThan(5 * MiB);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(40 * MiB);
});

it('leaves nothing when it is told to end, and throws what it was told', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const copied = copySparse(holed('long'), at('half'), {
    signal: stop.signal,
    onProgress: (bytes) => {
      if (bytes > 7 * MiB) stop.abort(reason);
    },
  });
  await expect(copied).rejects.toBe(reason);
  expect(fs.existsSync(at('half'))).toBe(false);
});

it('does not touch a file that is there', async () => {
  fs.writeFileSync(at('there'), 'mine');
  await expect(copySparse(holed('source'), at('there'))).rejects.toMatchObject({
    code: 'resources',
  });
  expect(fs.readFileSync(at('there'), 'utf8')).toBe('mine');
});

describe.skipIf(process.getuid?.() !== 0)('on a file system that gets full', () => {
  const place = at('small');
  afterAll(() => {
    execFileSync('umount', [place]);
  });

  it('leaves nothing, also when the last write had room for a part', async () => {
    fs.mkdirSync(place);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', place]);
    fs.writeFileSync(at('piece'), Buffer.alloc(768 * KiB, 7)); // one piece
    const copied = copySparse(at('piece'), path.join(place, 'copy'));
    await expect(copied).rejects.toMatchObject({ code: 'resources' });
    expect(fs.readdirSync(place)).toEqual([]);
  });
});
