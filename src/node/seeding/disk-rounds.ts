/**
 * Sends a disk in rounds while the machine uses it: all of it once, then what was written
 * meanwhile, and at the cut only the rest, from a point-in-time copy.
 *
 * Intuition: the image is read beside the storage daemon, through the same page cache. A block that
 * is written while it is read may be torn; the tracker has it then, and it is sent again.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Extent, nextData } from '../../host/libc.ts';
import { imageBytes, type Storage } from '../../hypervisor/disks/storage.ts';
import type { WriteTracker } from '../../hypervisor/disks/write-tracker.ts';
import { isZero } from '../../hypervisor/memory/ram.ts';
import type { BulkStream } from './bulk.ts';
import { type BlockDigests, blockBytesOf, digestOf } from './digests.ts';
import type { Pace } from './pace.ts';

export interface SeededDisk {
  readonly id: string;
  readonly image: string;
  readonly stream: BulkStream;
}

/** What a disk needs to be copied, from before the first byte is read until all is sent. */
export class DiskSeed {
  readonly id: string;
  readonly bytes: number;
  /** Node of the point-in-time copy in the storage daemon. */
  readonly node: string;
  readonly tracker: WriteTracker;
  readonly #disk: SeededDisk;
  readonly #storage: Storage;
  readonly #pace: Pace;

  private constructor(
    disk: SeededDisk,
    storage: Storage,
    pace: Pace,
    parts: { readonly bytes: number; readonly node: string; readonly tracker: WriteTracker },
  ) {
    this.id = disk.id;
    this.bytes = parts.bytes;
    this.node = parts.node;
    this.tracker = parts.tracker;
    this.#disk = disk;
    this.#storage = storage;
    this.#pace = pace;
  }

  /**
   * Records the disk's writes from here on. The copy lies beside its image: there is room for it.
   */
  static async begin(disk: SeededDisk, storage: Storage, pace: Pace): Promise<DiskSeed> {
    const bytes = imageBytes(disk.image);
    const tracker = await storage.trackWrites(disk.id, bytes);
    try {
      const node = await storage.prepareCopy(disk.id, copyPath(disk), bytes);
      return new DiskSeed(disk, storage, pace, { bytes, node, tracker });
    } catch (error) {
      await tracker.end();
      throw error;
    }
  }

  /**
   * Sends all that the backup does not have, then what was written meanwhile until that is little.
   */
  async sendRounds(digests: BlockDigests | undefined): Promise<void> {
    await sendImage(this.#disk, this.#pace, digests);
    for (let rounds = 1; rounds < limits.seedRoundsMax; rounds += 1) {
      if ((await this.sendRound()) <= limits.seedSmallRoundBytes) return;
    }
  }

  /** Sends what was written since the last round. Returns its bytes. */
  async sendRound(): Promise<number> {
    return sendExtents(this.#disk, this.#pace, await this.tracker.nextRound());
  }

  /**
   * Sends what was written before the cut and not yet sent. The point-in-time copy must be done.
   */
  async sendLastRound(): Promise<void> {
    const { stream } = this.#disk;
    const copy = { stream, image: copyPath(this.#disk) };
    await sendExtents(copy, this.#pace, await this.tracker.lastRound());
    await stream.end(this.bytes);
  }

  /** Ends the copy if it still runs, and removes everything but the disk. */
  async end(): Promise<void> {
    await this.#storage.discardCopy(this.node);
    await this.tracker.end();
    await fs.promises.rm(copyPath(this.#disk), { force: true });
  }
}

const copyPath = ({ image }: Pick<SeededDisk, 'image'>): string => `${image}.seed`;

type Source = Pick<SeededDisk, 'image' | 'stream'>;

/** Sends an image but for what the backup has, by its digests; without them it has zeros. */
export async function sendImage(
  source: Source,
  pace: Pace,
  digests: BlockDigests | undefined,
): Promise<void> {
  const { stream } = source;
  await reading(source.image, async (file) => {
    const { size } = await file.stat();
    const blockBytes = blockBytesOf(size);
    const chunkBytes = Math.max(blockBytes, limits.seedReadBytes);
    const buffer = Buffer.alloc(chunkBytes);
    let block = 0;
    const skipHolesTo = async (end: number): Promise<void> => {
      for (; block < end; block += 1) {
        await pace.breathe();
        if (digests === undefined || digests.isZero(block)) continue;
        const offset = block * blockBytes;
        await stream.zeros(offset, Math.min(blockBytes, size - offset));
      }
    };
    for (let data = nextData(file.fd, 0); data !== undefined; ) {
      const from = data.from - (data.from % blockBytes);
      await skipHolesTo(from / blockBytes);
      const whole = Math.ceil((data.to - from) / blockBytes) * blockBytes;
      const { bytesRead } = await file.read(buffer, 0, Math.min(whole, chunkBytes), from);
      if (bytesRead === 0) break;
      const chunk = { offset: from, blockBytes, bytes: buffer.subarray(0, bytesRead) };
      await sendBlocks(stream, chunk, digests);
      await pace.breathe();
      block = Math.ceil((from + bytesRead) / blockBytes);
      data = nextData(file.fd, from + bytesRead);
    }
    await skipHolesTo(Math.ceil(size / blockBytes));
  });
}

/** Sends parts of an image whatever the backup has there. Returns their bytes. */
export async function sendExtents(
  source: Source,
  pace: Pace,
  extents: readonly Extent[],
): Promise<number> {
  let sum = 0;
  const buffer = Buffer.alloc(limits.seedBlockBytes);
  await reading(source.image, async (file) => {
    for (const extent of extents) {
      for (let offset = extent.from; offset < extent.to; offset += buffer.length) {
        const wanted = Math.min(buffer.length, extent.to - offset);
        const { bytesRead } = await file.read(buffer, 0, wanted, offset);
        const bytes = buffer.subarray(0, bytesRead);
        if (isZero(bytes)) await source.stream.zeros(offset, bytesRead);
        else await source.stream.bytes(offset, bytes);
        sum += bytesRead;
        await pace.breathe();
      }
    }
  });
  return sum;
}

interface Chunk {
  readonly offset: number;
  readonly blockBytes: number;
  /** Some whole blocks; the last one of a disk may be shorter. */
  readonly bytes: Buffer<ArrayBuffer>;
}

async function sendBlocks(
  stream: BulkStream,
  { offset, blockBytes, bytes }: Chunk,
  digests: BlockDigests | undefined,
): Promise<void> {
  const blocks: { readonly at: number; readonly theirs: Buffer | undefined }[] = [];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const number = (offset + at) / blockBytes;
    const theirs = digests === undefined || digests.isZero(number) ? undefined : digests.at(number);
    blocks.push({ at, theirs });
  }
  const blockAt = (at: number) => bytes.subarray(at, at + blockBytes);
  const mine = await Promise.all(
    blocks.map(async ({ at, theirs }) =>
      theirs === undefined ? undefined : digestOf(blockAt(at)),
    ),
  );
  for (const [index, { at, theirs }] of blocks.entries()) {
    const block = blockAt(at);
    if (theirs !== undefined && mine[index]?.equals(theirs) === true) continue;
    if (!isZero(block)) await stream.bytes(offset + at, block);
    else if (theirs !== undefined) await stream.zeros(offset + at, block.length);
  }
}

async function reading(
  image: string,
  work: (file: fs.promises.FileHandle) => Promise<void>,
): Promise<void> {
  let file: fs.promises.FileHandle;
  try {
    file = await fs.promises.open(image, 'r');
  } catch (thrown) {
    throw new UnderstudyError('disk', `Cannot read disk image '${image}'`, {
      cause: asError(thrown),
    });
  }
  try {
    await work(file);
  } finally {
    await file.close();
  }
}
