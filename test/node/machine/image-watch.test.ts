// What another program writes to a disk's image must be found, and what the guest writes must never
// be taken for that. The storage daemon is a real one.
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Storage } from '../../../src/hypervisor/disks/storage.ts';
import type { Logger } from '../../../src/node/logger.ts';
import { decodeDiskDigests, encodeDiskDigests } from '../../../src/node/machine/disk-digests.ts';
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
      ...{ storage, images: [watched()], log: silent, settleMs: 10 },
      onChanged: () => undefined,
    });
    expect(await watch.lookAtAll()).toEqual([]);
    change(9 * block);
    expect(await watch.lookAtAll()).toEqual([
      `disk d0: '${image}' was changed at byte ${9 * block} by another program`,
    ]);
    await watch.close();
  });

  describe('compared with the one of another node', () => {
    let other: ImageUnderTest;
    const ours = () => begin(storage, image);
    const theirs = () => begin(other.storage, other.image);

    beforeEach(async () => {
      other = await ImageUnderTest.open(bytes);
    });
    afterEach(() => other.close());

    /** Both have made the same writes, and have looked. */
    async function begin(from: Storage, path: string): Promise<DiskWatch> {
      const watch = new DiskWatch({
        ...{ storage: from, images: [{ id: 'd0', path }], log: silent, settleMs: 20 },
        onChanged: () => undefined,
      });
      await watch.lookAtAll();
      await sleep(50);
      return watch;
    }

    const compare = async (primary: DiskWatch, backup: DiskWatch, max = 1e6, reads = 1e6) => {
      const [here, there] = [primary.atCut(), backup.atCut()];
      const told = decodeDiskDigests(encodeDiskDigests(await primary.tell(here, max)));
      return backup.compare(there, told, reads);
    };

    it('is equal, block by block, or differs: and it is said where', async () => {
      await Promise.all([tested, other].map((each) => each.write(`write -P 7 ${3 * block} 128k`)));
      const [primary, backup] = [await ours(), await theirs()];
      expect(await compare(primary, backup)).toEqual({ compared: 65, differences: [] });
      // A copy that wrote something else: nobody changed its image behind its back.
      await other.write(`write -P 9 ${7 * block} 4k`);
      await backup.lookAtAll();
      await sleep(50);
      await backup.lookAtAll();
      await sleep(50);
      expect(await compare(primary, backup)).toEqual({
        compared: 65,
        differences: [`disk d0 differs from the primary's, first at byte ${7 * block}`],
      });
      await Promise.all([primary.close(), backup.close()]);
    });

    it('says nothing of what is being written, on either side', async () => {
      const [primary, backup] = [await ours(), await theirs()];
      // The primary's write ended before the cut, the backup's behind it; and the other way round.
      await tested.write(`write -P 1 ${2 * block} 4k`);
      await other.write(`write -P 2 ${5 * block} 4k`);
      const [here, there] = [primary.atCut(), backup.atCut()];
      await other.write(`write -P 1 ${2 * block} 4k`);
      const told = await primary.tell(here, 1e6);
      await tested.write(`write -P 2 ${5 * block} 4k`);
      const { compared, differences } = await backup.compare(there, told, 1e6);
      expect(differences).toEqual([]);
      expect(compared).toBe(63);
      await Promise.all([primary.close(), backup.close()]);
    });

    it('tells new blocks first, then all in turn, and no more than it may', async () => {
      const [primary, backup] = [await ours(), await theirs()];
      const told: number[] = [];
      for (let cut = 0; cut < 7; cut += 1) {
        const [disk] = await primary.tell(primary.atCut(), 10);
        expect(disk?.blocks).toHaveLength(10);
        told.push(...(disk?.blocks ?? []));
      }
      expect(new Set(told).size).toBe(65);
      await tested.write(`write -P 3 ${60 * block} 4k`);
      await primary.lookAtAll();
      await sleep(50);
      await primary.lookAtAll();
      const [next] = await primary.tell(primary.atCut(), 1);
      expect(next?.blocks).toEqual([60]);
      await Promise.all([primary.close(), backup.close()]);
    });

    it('reads no more than it may for what it does not know', async () => {
      const [primary, backup] = [await ours(), await theirs()];
      await Promise.all([tested, other].map((each) => each.write('write -P 5 0 1M')));
      await primary.lookAtAll();
      await compare(primary, backup); // a round that settles
      await sleep(50);
      expect(await compare(primary, backup, 1e6, 4)).toEqual({ compared: 53, differences: [] });
      await Promise.all([primary.close(), backup.close()]);
    });
  });
});
