/**
 * All that the store does to files, as an interface: a test can count each step, end it at any of
 * them, and lose what was not flushed. What the names promise is what the store relies on:
 *
 *  - `sync` puts the content of a file on the disk, `syncDirectory` its names.
 *  - `rename` replaces at once; who opened the old file keeps it.
 *  - Only the catalogue, which can be made again, is written past it.
 */
import fs from 'node:fs/promises';
import { flushPath, makeDirectory } from '../host/durable-files.ts';

export interface StoreFile {
  /** Fewer bytes than asked for at the end of the file. */
  read(offset: number, bytes: number): Promise<Buffer>;
  append(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Files {
  /** With those above it; their names are on the disk when it resolves. */
  makeDirectory(directory: string): Promise<void>;
  /** Names of files and directories; none when there is no such directory. */
  list(directory: string): Promise<string[]>;
  /** A new file, for its owner only. Fails when it exists. */
  create(file: string): Promise<StoreFile>;
  /** For reading. */
  open(file: string): Promise<StoreFile>;
  size(file: string): Promise<number>;
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
}

class RealFile implements StoreFile {
  readonly #handle: fs.FileHandle;

  constructor(handle: fs.FileHandle) {
    this.#handle = handle;
  }

  async read(offset: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(bytes);
    let filled = 0;
    while (filled < bytes) {
      const left = bytes - filled;
      const { bytesRead } = await this.#handle.read(buffer, filled, left, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#handle.writeFile(bytes); // at the present position, however many writes it takes
  }

  sync(): Promise<void> {
    return this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

export const realFiles: Files = {
  makeDirectory,
  async list(directory) {
    try {
      return await fs.readdir(directory);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw thrown;
    }
  },
  async create(file) {
    return new RealFile(await fs.open(file, 'wx', 0o600));
  },
  async open(file) {
    return new RealFile(await fs.open(file, 'r'));
  },
  async size(file) {
    return (await fs.stat(file)).size;
  },
  rename: (from, to) => fs.rename(from, to),
  remove: (file) => fs.unlink(file),
  syncDirectory: flushPath,
};
