/** An image behind a storage daemon of its own, and a guest's requests to it, by qemu-io. */
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Storage } from '../../../src/hypervisor/disks/storage.ts';

const programs = ['qemu-io', 'qemu-storage-daemon'];
/** Whether a program for it is not there. */
export const isMissing = programs.some(
  (name) => spawnSync(name, ['--version']).error !== undefined,
);

export class ImageUnderTest {
  readonly dir: string;
  readonly image: string;
  readonly storage: Storage;

  private constructor(dir: string, image: string, storage: Storage) {
    this.dir = dir;
    this.image = image;
    this.storage = storage;
  }

  /** Disk `d0`, of so many bytes that are all alike. */
  static async open(bytes: number): Promise<ImageUnderTest> {
    const dir = fs.mkdtempSync('/dev/shm/us-image-');
    const image = path.join(dir, 'image');
    fs.writeFileSync(image, Buffer.alloc(bytes, 'o'));
    const storage = await Storage.start({
      disks: [{ id: 'd0', path: image, readOnly: false }],
      ...{ dir: path.join(dir, 'storage'), pidDir: dir },
    });
    return new ImageUnderTest(dir, image, storage);
  }

  /** Commands of qemu-io: a guest's requests as the daemon sees them. */
  async write(...commands: string[]): Promise<void> {
    const uri = `nbd+unix:///d0?socket=${this.storage.nbdSocket}`;
    const args = commands.flatMap((command) => ['-c', command]);
    await promisify(execFile)('qemu-io', ['-f', 'raw', ...args, uri]);
  }

  async close(): Promise<void> {
    await this.storage.stop();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
