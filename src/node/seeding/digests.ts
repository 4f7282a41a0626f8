/**
 * Digests of a stream's blocks: how a backup says what it has from earlier, so that only
 * differences need to be sent.
 *
 * A digest is the first half of a SHA-256: with 2^20 blocks the odds that two different blocks have
 * the same one are below 2^-88. 16 zero bytes stand for a block of zeros, which has no other digest
 * here. On the link, the digest of block n lies at offset 16 n of the stream; what is left out is
 * zero.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { nextData } from '../../host/libc.ts';
import { isZero } from '../../hypervisor/memory/ram.ts';
import type { BlobFrame } from '../../ports/link.ts';

export const digestBytes = 16;
/** Of a block of zeros. */
export const zerosDigest = Buffer.alloc(digestBytes);

/** Size of the blocks of a stream: 64 KiB, and more for one that would have too many of them. */
export function blockBytesOf(streamBytes: number): number {
  let blockBytes: number = limits.seedBlockBytes;
  while (streamBytes / blockBytes > limits.seedBlocksMax) blockBytes *= 2;
  return blockBytes;
}

/** Computed beside the event loop, by one of Node's threads. */
export async function digestOf(block: Uint8Array<ArrayBuffer>): Promise<Buffer> {
  if (isZero(block)) return zerosDigest;
  return Buffer.from(await crypto.subtle.digest('SHA-256', block), 0, digestBytes);
}

/** The digests of one stream, as the other side sent them. */
export class BlockDigests {
  readonly blockBytes: number;
  readonly #digests: Buffer;

  constructor(streamBytes: number) {
    this.blockBytes = blockBytesOf(streamBytes);
    this.#digests = Buffer.alloc(Math.ceil(streamBytes / this.blockBytes) * digestBytes);
  }

  /** Throws `link` for a piece outside of the stream. */
  take({ offset, payload, stream }: BlobFrame): void {
    if (offset + payload.length > this.#digests.length) {
      throw new UnderstudyError(
        'link',
        `Digests lie outside of stream ${stream}: ${payload.length} bytes at ${offset} of ${this.#digests.length}`,
      );
    }
    this.#digests.set(payload, offset);
  }

  /** True when the other side has zeros there. */
  isZero(block: number): boolean {
    return this.at(block).equals(zerosDigest);
  }

  at(block: number): Buffer {
    return this.#digests.subarray(block * digestBytes, (block + 1) * digestBytes);
  }
}

export interface DigestRun {
  readonly firstBlock: number;
  /** One after the other. */
  readonly digests: Buffer;
}

/**
 * Digests of a file's blocks, in runs, ascending; blocks that lie in holes are left out. The file
 * must not change meanwhile. Throws `disk` when it cannot be read.
 */
export async function* digestFile(path: string, streamBytes: number): AsyncGenerator<DigestRun> {
  const blockBytes = blockBytesOf(streamBytes);
  const chunkBytes = Math.max(blockBytes, limits.seedReadBytes);
  let file: fs.promises.FileHandle | undefined;
  try {
    file = await fs.promises.open(path, 'r');
    const buffer = Buffer.alloc(chunkBytes);
    for (let data = nextData(file.fd, 0); data !== undefined; ) {
      const from = data.from - (data.from % blockBytes);
      const length = Math.min(chunkBytes, data.to - from);
      const whole = Math.ceil(length / blockBytes) * blockBytes;
      const { bytesRead } = await file.read(buffer, 0, Math.min(whole, chunkBytes), from);
      if (bytesRead === 0) return;
      const blocks: Promise<Buffer>[] = [];
      for (let at = 0; at < bytesRead; at += blockBytes) {
        blocks.push(digestOf(buffer.subarray(at, Math.min(at + blockBytes, bytesRead))));
      }
      yield { firstBlock: from / blockBytes, digests: Buffer.concat(await Promise.all(blocks)) };
      data = nextData(file.fd, from + bytesRead);
    }
  } catch (thrown) {
    throw new UnderstudyError('disk', `Cannot read '${path}'`, { cause: asError(thrown) });
  } finally {
    await file?.close();
  }
}
