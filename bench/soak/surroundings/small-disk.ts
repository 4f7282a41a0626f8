/**
 * A small file system of its own, which can be full. Only root can mount one; elsewhere soaks and
 * tests go without what needs it.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export const canMount = process.getuid?.() === 0;

export class SmallDisk {
  readonly dir: string;
  readonly #hog: string;

  /** Mounted on a directory that is made for it. */
  constructor(dir: string, mebibytes: number) {
    fs.mkdirSync(dir, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', dir]);
    this.dir = dir;
    this.#hog = path.join(dir, 'hog');
  }

  /** To the last byte. Throws what ends it, if that is not ENOSPC. */
  fill(): void {
    const fd = fs.openSync(this.#hog, 'w');
    try {
      // The last pages one by one: what is left for others is less than one.
      for (const bytes of [1 << 20, 4096]) this.#fillBy(fd, Buffer.alloc(bytes, 1));
    } finally {
      fs.closeSync(fd);
    }
  }

  makeRoom(): void {
    fs.rmSync(this.#hog, { force: true });
  }

  /** Also while somebody has files open on it. */
  unmount(): void {
    execFileSync('umount', ['-l', this.dir]);
  }

  #fillBy(fd: number, block: Buffer): void {
    try {
      for (;;) fs.writeSync(fd, block);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
    }
  }
}
