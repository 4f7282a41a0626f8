// What another program writes to a disk's image must be found, and what the guest writes must never
// be taken for that. The storage daemon is a real one.
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Storage } from '../../../src/hypervisor/disks/storage.ts';
import type { Logger } from '../../../src/node/logger.ts';
import { DiskWatch } from '../../../src/node/machine/disk-watch.ts';
import { ImageWatch } from '../../../src/node/machine/image-watch.ts';
import { ImageUnderTest, isMissing } from '../../hypervisor/disks/image-under-test.ts';

const silent = { warn: () => undefined } as unknown as Logger;
const kib = 1024;
const block = 64 * kib;
const bytes = 64 * block + 512; // not a multiple of a block

describe.skipIf(isMissing)('a watched image', () => {
  let tested: ImageUnderTest;
  let storage: Storage;
  let image: string;

  beforeEach(async () => {
    tested = await ImageUnderTest.open(bytes);
    ({ storage, image } = tested);
  });
  afterEach(() => tested.close());

  const write = (...commands: string[]): Promise<void> => tested.write(...commands);

  /** Eight bytes, as by a program that asks for no lock. */
  function change(at: number): void {
    const fd = fs.openSync(image, 'r+');
    fs.writeSync(fd, 'CHANGED!', at);
    fs.closeSync(fd);
  }

  const watched = () => ({ id: 'd0', path: image, bytes });

  it('tells what another program changed, and where', async () => {
    const watch = await ImageWatch.begin(storage, watched(), 10);
    expect(await watch.look(0, watch.blocks)).toEqual([]);
    change(3 * block + 5);
    change(64 * block);
    expect(await watch.look(4, 10)).toEqual([]);
    expect(await watch.look(0, watch.blocks)).toEqual([3 * block, 64 * block]);
    // Until the guest writes there, or somebody mends it.
    expect(await watch.look(3, 1)).toEqual([3 * block]);
    await write(`write -P 7 ${3 * block} 64k`);
    expect(await watch.look(3, 1)).toEqual([]);
    await watch.close();
  });

  it('takes what the guest writes for nothing else, also while it is looked at', async () => {
    const watch = await ImageWatch.begin(storage, watched(), 10);
    await watch.look(0, watch.blocks);
    await write('write -P 1 100k 4k', 'write -z 256k 64k', 'discard 512k 64k');
    expect(await watch.look(0, watch.blocks)).toEqual([]);
    const writing = write(...Array.from({ length: 300 }, (_, n) => `write -P ${n % 255} 0 1M`));
    let isOver = false;
    void writing.finally(() => {
      isOver = true;
    });
    let looks = 0;
    while (!isOver || looks === 0) {
      expect(await watch.look(0, watch.blocks)).toEqual([]);
      looks += 1;
    }
    await writing;
    expect(await watch.look(0, watch.blocks)).toEqual([]);
    await watch.close();
  });

  it('of a machine is known from the beginning, and looked at whole when asked', async () => {
    const watch = new DiskWatch({
      ...{ storage, images: [watched()], log: silent },
      onChanged: () => undefined,
    });
    expect(await watch.lookAtAll()).toEqual([]);
    change(9 * block);
    expect(await watch.lookAtAll()).toEqual([
      `disk d0: '${image}' was changed at byte ${9 * block} by another program`,
    ]);
    await watch.close();
  });
});
