// What another program writes to a disk's image must be found, and what the guest writes must never
// be taken for that. The storage daemon is a real one.
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Storage } from '../../../src/hypervisor/disks/storage.ts';
import type { Logger } from '../../../src/node/logger.ts';
import { DiskWatch } from '../../../src/node/machine/disk-watch.ts';
import { ImageWatch } from '../../../src/node/machine/image-watch.ts';

const silent = { warn: () => undefined } as unknown as Logger;
const kib = 1024;
const block = 64 * kib;
const bytes = 64 * block + 512; // not a multiple of a block
const programs = ['qemu-io', 'qemu-storage-daemon'];
const isMissing = programs.some((name) => spawnSync(name, ['--version']).error !== undefined);

describe.skipIf(isMissing)('a watched image', () => {
  let dir: string;
  let image: string;
  let storage: Storage;

  beforeEach(async () => {
    dir = fs.mkdtempSync('/dev/shm/us-watch-');
    image = path.join(dir, 'image');
    fs.writeFileSync(image, Buffer.alloc(bytes, 'o'));
    storage = await Storage.start({
      disks: [{ id: 'd0', path: image, readOnly: false }],
      ...{ dir: path.join(dir, 'storage'), pidDir: dir },
    });
  });
  afterEach(async () => {
    await storage.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  /** A guest's requests as the daemon sees them. */
  async function write(...commands: string[]): Promise<void> {
    const uri = `nbd+unix:///d0?socket=${storage.nbdSocket}`;
    const args = commands.flatMap((command) => ['-c', command]);
    await promisify(execFile)('qemu-io', ['-f', 'raw', ...args, uri]);
  }

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
