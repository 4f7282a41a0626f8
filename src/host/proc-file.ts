/** A file of /proc that is read again and again: each read is the state of that moment. */
import fs from 'node:fs';

export class ProcFile {
  #file: number | undefined;
  readonly #bytes: Buffer;

  private constructor(file: number, bytes: number) {
    this.#file = file;
    this.#bytes = Buffer.alloc(bytes);
  }

  /** Returns `undefined` when there is no such file. */
  static open(path: string, bytes = 96): ProcFile | undefined {
    try {
      return new ProcFile(fs.openSync(path, 'r'), bytes);
    } catch {
      return undefined; // without /proc a node does with less
    }
  }

  /**
   * Its first bytes, as many as `open` was told. `undefined` when the process or thread is gone: an
   * open file never becomes that of another one.
   */
  read(): string | undefined {
    if (this.#file === undefined) return undefined;
    try {
      const length = fs.readSync(this.#file, this.#bytes, 0, this.#bytes.length, 0);
      return this.#bytes.toString('latin1', 0, length);
    } catch {
      return undefined;
    }
  }

  close(): void {
    if (this.#file !== undefined) fs.closeSync(this.#file);
    this.#file = undefined;
  }
}
