// What was written to a disk must be found again exactly, by a real storage daemon: also when it
// became zero, and not when it was written before or after.
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Storage } from '../../../src/hypervisor/disks/storage.ts';
import { ImageUnderTest, isMissing } from './image-under-test.ts';

const kib = 1024;
const bytes = 4 * 1024 * kib + 512; // not a multiple of a block

describe.skipIf(isMissing)('a write tracker', () => {
  let tested: ImageUnderTest;
  let storage: Storage;

  beforeEach(async () => {
    tested = await ImageUnderTest.open(bytes);
    storage = tested.storage;
  });
  afterEach(() => tested.close());

  const write = (...commands: string[]): Promise<void> => tested.write(...commands);

  const extent = (from: number, to: number) => ({ from: from * kib, to: to * kib });

  it('tells each round what was written in it, zeros and discards too', async () => {
    await write('write -P 1 1M 64k');
    const tracker = await storage.trackWrites('d0', bytes);
    expect(await tracker.nextRound()).toEqual([]);
    await write('write -P 2 100k 4k', 'write -z 256k 64k', 'discard 512k 64k');
    await write('write -P 3 4096k 512');
    expect(await tracker.nextRound()).toEqual([
      extent(64, 128),
      extent(256, 320),
      extent(512, 576),
      { from: 4096 * kib, to: bytes },
    ]);
    await write('write -P 4 0 128k');
    expect(await tracker.nextRound()).toEqual([extent(0, 128)]);
    await tracker.end();
  });

  it('a copy at a point in time holds the last round, and later writes are not in it', async () => {
    const tracker = await storage.trackWrites('d0', bytes);
    await write('write -P 1 0 64k');
    expect(await tracker.nextRound()).toEqual([extent(0, 64)]);
    await write('write -P 2 64k 64k', 'write -z 128k 64k');

    const copyFile = path.join(tested.dir, 'copy');
    const copy = { id: 'd0', node: await storage.prepareCopy('d0', copyFile, bytes), tracker };
    const copying = await storage.startCopies([copy]);
    await write('write -P 9 64k 128k', 'write -P 9 1M 64k');
    await storage.hurryCopies([copy]);
    await copying.done;

    expect(await tracker.lastRound()).toEqual([extent(64, 192)]);
    const copied = fs.readFileSync(copyFile);
    expect(copied.subarray(64 * kib, 128 * kib).every((byte) => byte === 2)).toBe(true);
    expect(copied.subarray(128 * kib, 192 * kib).every((byte) => byte === 0)).toBe(true);
    expect(fs.statSync(copyFile).blocks * 512).toBeLessThanOrEqual(128 * kib);
    await storage.discardCopy(copy.node);
    await tracker.end();
  });
});
