import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import {
  createRamFile,
  differingBlocks,
  digestRam,
  RamSample,
  shareOfRam,
} from '../../../src/hypervisor/memory/ram.ts';

const block = limits.ramDigestBlockBytes;
let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'understudy-ram-'));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

let made = 0;
/** An image of `blocks` blocks, with a byte in some of them. */
function image(blocks: number, bytesAt: Readonly<Record<number, number>> = {}): string {
  made += 1;
  const file = path.join(dir, `ram${made}`);
  createRamFile(file, blocks * block);
  const fd = fs.openSync(file, 'r+');
  for (const [at, value] of Object.entries(bytesAt))
    fs.writeSync(fd, Buffer.from([value]), 0, 1, Number(at));
  fs.closeSync(fd);
  return file;
}

describe('the digest of RAM', () => {
  it('names the block of a single byte, also where the rest was never written', async () => {
    const [a, b] = [image(9, { 5: 1 }), image(9, { 5: 1, [7 * block + 3]: 2 })];
    expect(differingBlocks(await digestRam(a), await digestRam(b))).toEqual([7]);
  });

  it('a hole and written zeros are the same', async () => {
    const written = image(3);
    fs.writeFileSync(written, Buffer.alloc(3 * block));
    expect(await digestRam(written)).toEqual(await digestRam(image(3)));
  });

  it('what is not wanted is not read, and differs from nothing', async () => {
    const [a, b] = [image(4, { 0: 1, [2 * block]: 1 }), image(4, { 0: 2, [2 * block]: 2 })];
    const share = await digestRam(a, (at) => at === 2);
    expect(share.map((sum) => sum === null)).toEqual([true, true, false, true]);
    expect(differingBlocks(share, await digestRam(b))).toEqual([2]);
  });

  it('a sample is what was read, whatever is written until it is digested', async () => {
    const file = image(5, { 0: 1, [2 * block]: 1, [4 * block]: 9 });
    fs.truncateSync(file, 4 * block + 99); // the last block is not a whole one
    const isWanted = (at: number) => at !== 2;
    const before = await digestRam(file, isWanted);
    const sample = new RamSample(file, isWanted);
    sample.read();
    fs.writeFileSync(file, Buffer.alloc(4 * block + 99, 7));
    expect(sample.digest()).toEqual(before);
    sample.read();
    sample.close();
    expect(sample.digest()).toEqual(await digestRam(file, isWanted));
    expect(sample.digest()).not.toEqual(before);
  });

  it('the event loop turns while much is read', async () => {
    const blocks = (4 * limits.digestSliceBytes) / block;
    const full = image(
      blocks,
      Object.fromEntries(Array.from({ length: blocks }, (_, at) => [at * block, 1])),
    );
    // One written byte a block makes a page of it: slices count what is read.
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    await digestRam(full);
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it('shares together are all of RAM, each block once', () => {
    const bytes = 5 * limits.quickDigestBytes;
    const blocks = bytes / block;
    const seen = Array.from({ length: blocks }, () => 0);
    for (let turn = 40; turn < 45; turn += 1) {
      const isWanted = shareOfRam(bytes, turn);
      for (let at = 0; at < blocks; at += 1) if (isWanted(at)) seen[at] = (seen[at] ?? 0) + 1;
    }
    expect(new Set(seen)).toEqual(new Set([1]));
  });
});
