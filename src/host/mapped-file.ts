/**
 * A file as memory: so that two files of gigabytes can be compared without copying them.
 *
 * It is mapped in windows, because a Buffer has at most 4 GiB. The file must keep its size while it
 * is mapped, and nothing may touch what `at` gave after `close`: both would end the process.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../base/errors.ts';
import { type Mapping, mapFile } from './libc.ts';

/** A multiple of every block size, and far below what a Buffer can have. */
const windowBytes = 1024 * 1024 * 1024;

export class MappedFile {
  readonly fd: number;
  readonly bytes: number;
  readonly #windows: Mapping[] = [];

  private constructor(fd: number, bytes: number) {
    this.fd = fd;
    this.bytes = bytes;
  }

  /** Throws `resources` when the file is not there or cannot be mapped. */
  static open(path: string, access: 'read' | 'write'): MappedFile {
    let fd: number;
    try {
      fd = fs.openSync(path, access === 'read' ? 'r' : 'r+');
    } catch (thrown) {
      throw new UnderstudyError('resources', `Cannot open RAM image '${path}'`, {
        cause: asError(thrown),
        hint: 'check that the run directory is on a tmpfs with room for the guest’s memory',
      });
    }
    const file = new MappedFile(fd, fs.fstatSync(fd).size);
    try {
      for (let from = 0; from < file.bytes; from += windowBytes) {
        const length = Math.min(windowBytes, file.bytes - from);
        file.#windows.push(mapFile(fd, from, length, access));
      }
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** A view, not a copy. The range must not cross a multiple of 1 GiB: blocks never do. */
  at(offset: number, length: number): Buffer<ArrayBuffer> {
    const window = this.#windows[Math.floor(offset / windowBytes)];
    const from = offset % windowBytes;
    if (window === undefined || from + length > window.bytes.length) {
      throw new RangeError(`${length} bytes at ${offset} are outside a window of the mapping`);
    }
    return window.bytes.subarray(from, from + length);
  }

  close(): void {
    for (const { unmap } of this.#windows.splice(0)) unmap();
    fs.closeSync(this.fd);
  }
}
