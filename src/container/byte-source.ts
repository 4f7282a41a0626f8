/** Bytes that are read once, from the first to the last. */
import fs from 'node:fs';
import { containerLimits } from './limits.ts';

export interface ByteSource {
  /** How many were read or skipped. */
  readonly position: number;
  /** At least one byte and at most `bytes`; none at the end. */
  some(bytes: number): Promise<Buffer>;
  /** As far as there are so many. */
  skip(bytes: number): Promise<void>;
}

/** As many bytes as are wanted; fewer only at the end. */
export async function upTo(source: ByteSource, bytes: number): Promise<Buffer> {
  const first = await source.some(bytes);
  if (first.length === bytes || first.length === 0) return first;
  const pieces = [first];
  for (let left = bytes - first.length; left > 0; ) {
    const piece = await source.some(left);
    if (piece.length === 0) break;
    pieces.push(piece);
    left -= piece.length;
  }
  return Buffer.concat(pieces);
}

/** Whatever arrives. */
export class StreamSource implements ByteSource {
  readonly #pieces: AsyncIterator<Buffer>;
  #piece: Buffer = Buffer.alloc(0);
  #position = 0;

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  get position(): number {
    return this.#position;
  }

  async some(bytes: number): Promise<Buffer> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return Buffer.alloc(0);
      this.#piece = value;
    }
    const taken = this.#piece.subarray(0, bytes);
    this.#piece = this.#piece.subarray(taken.length);
    this.#position += taken.length;
    return taken;
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const { length } = await this.some(left);
      if (length === 0) return;
      left -= length;
    }
  }

  /** Lets what makes the bytes end, also in the middle of them. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}

/** A part of an open file; what is skipped is not read. */
export class FileSource implements ByteSource {
  readonly #fd: number;
  readonly #to: number;
  #position: number;

  constructor(fd: number, from: number, to: number) {
    this.#fd = fd;
    this.#position = from;
    this.#to = to;
  }

  get position(): number {
    return this.#position;
  }

  async some(bytes: number): Promise<Buffer> {
    const wanted = Math.min(bytes, this.#to - this.#position, containerLimits.pieceBytes);
    if (wanted <= 0) return Buffer.alloc(0);
    const piece = Buffer.allocUnsafe(wanted);
    const read = fs.readSync(this.#fd, piece, 0, wanted, this.#position);
    this.#position += read;
    return piece.subarray(0, read);
  }

  async skip(bytes: number): Promise<void> {
    this.#position = Math.min(this.#position + bytes, this.#to);
  }
}
