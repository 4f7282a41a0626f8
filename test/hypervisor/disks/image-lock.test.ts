// An image in use must be kept from every other program that asks: another node, and QEMU's own
// tools, whatever name they know the file by. The daemon that uses it is a real one.
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { lockImage, lockImages } from '../../../src/hypervisor/disks/image-lock.ts';
import { Storage } from '../../../src/hypervisor/disks/storage.ts';
import { scratchDir } from '../../node/scratch.ts';

const programs = ['qemu-io', 'qemu-storage-daemon'];
const isMissing = programs.some((name) => spawnSync(name, ['--version']).error !== undefined);
const dir = scratchDir();
let images = 0;

function image(): string {
  images += 1;
  const file = path.join(dir, `image${images}`);
  fs.writeFileSync(file, Buffer.alloc(64 * 1024));
  return file;
}

/** As another program that has opened the image does. */
async function write(file: string): Promise<void> {
  await promisify(execFile)('qemu-io', ['-f', 'raw', '-c', 'write -P 1 0 512', file]);
}

/** What another process says that locks the image in the same way. */
async function lockElsewhere(file: string, use: string): Promise<string> {
  const module = new URL('../../../src/hypervisor/disks/image-lock.ts', import.meta.url).pathname;
  const text = `import { lockImage } from '${module}';
    try { lockImage(process.argv[1], '${use}'); console.log('locked'); }
    catch (error) { console.log(error.code + ': ' + error.message); }`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', text, file];
  return (await promisify(execFile)(process.execPath, args)).stdout.trim();
}

describe.skipIf(isMissing)('the image of a daemon', () => {
  it('is written to by nobody else while the daemon lives', async () => {
    const file = image();
    const link = path.join(dir, 'link');
    fs.symlinkSync(file, link);
    const storage = await Storage.start({
      disks: [{ id: 'd0', path: file, readOnly: false }],
      ...{ dir: path.join(dir, 'storage'), pidDir: dir },
    });
    try {
      await expect(write(link)).rejects.toThrow('Failed to get "write" lock');
      const said = await lockElsewhere(link, 'write');
      expect(said).toContain(`disk: Disk image '${link}' is used by another program`);
      expect(said).toContain(`(process ${process.pid})`);
      expect(await lockElsewhere(file, 'read')).toContain('is used by another program');
      // Who comes over the daemon is the machine itself.
      const uri = `nbd+unix:///d0?socket=${storage.nbdSocket}`;
      await promisify(execFile)('qemu-io', ['-f', 'raw', '-c', 'write -P 2 0 512', uri]);
    } finally {
      await storage.stop();
    }
    await write(file);
    expect(fs.readFileSync(file)[0]).toBe(1);
  });

  it('that another program has open is refused', async () => {
    const file = image();
    const holder = execFile('qemu-io', ['-f', 'raw', file]);
    try {
      await expect
        .poll(() => {
          try {
            lockImage(file, 'write')();
            return 'free';
          } catch (thrown) {
            return (thrown as Error).message;
          }
        })
        .toContain(`'${file}' is used by another program: qemu-io (process ${holder.pid})`);
    } finally {
      holder.kill('SIGKILL');
    }
  });
});

describe('locks', () => {
  it('of one process do not exclude each other, and the last one frees the image', async () => {
    const file = image();
    const first = lockImage(file, 'write');
    const second = lockImages([
      { path: file, use: 'read' },
      { path: path.join(dir, 'nowhere'), use: 'write' },
    ]);
    first();
    first();
    expect(await lockElsewhere(file, 'write')).toContain('is used by another program');
    // Two may read what nobody writes to.
    expect(await lockElsewhere(file, 'read')).toBe('locked');
    second();
    expect(await lockElsewhere(file, 'write')).toBe('locked');
  });
});
