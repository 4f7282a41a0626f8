/**
 * Notices what becomes of a disk's image although nobody wrote to the disk: another program wrote
 * to the file, or what holds it decays.
 *
 * Intuition: every write of the guest goes through the storage daemon, and is in a round of a write
 * tracker when it has ended. So a block that is not what was last read of it, and is in no round
 * since, was changed behind the machine's back. One node needs no other to see it.
 *
 * Contract
 *  1. A block is told when it was changed since it was first looked at, and the guest has not
 *     written to it since; later than `look` reads it, never.
 *  2. A write that is on its way is never told: a block counts as changed when it still is what it
 *     should not be after `imageSettleMs`, and no write to it has ended by then.
 *  3. Nothing waits for it: it reads, and asks the daemon for rounds.
 */
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../../base/limits.ts';
import type { Extent } from '../../host/libc.ts';
import type { Storage } from '../../hypervisor/disks/storage.ts';
import type { WriteTracker } from '../../hypervisor/disks/write-tracker.ts';
import { blockBytesOf, digestBytes, digestOf } from '../seeding/digests.ts';

export interface WatchedImage {
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
}

export class ImageWatch {
  readonly image: WatchedImage;
  readonly #file: fs.promises.FileHandle;
  readonly #tracker: WriteTracker;
  readonly #blockBytes: number;
  readonly #digests: Buffer;
  /** By block: 1 when its digest is known. */
  readonly #isKnown: Uint8Array;
  readonly #settleMs: number;

  private constructor(
    image: WatchedImage,
    file: fs.promises.FileHandle,
    tracker: WriteTracker,
    settleMs: number,
  ) {
    this.image = image;
    this.#file = file;
    this.#tracker = tracker;
    this.#blockBytes = blockBytesOf(image.bytes);
    this.#isKnown = new Uint8Array(Math.ceil(image.bytes / this.#blockBytes));
    this.#digests = Buffer.alloc(this.blocks * digestBytes);
    this.#settleMs = settleMs;
  }

  /** Throws `disk` when the storage daemon refuses, and what opening the image throws. */
  static async begin(
    storage: Storage,
    image: WatchedImage,
    settleMs: number = limits.imageSettleMs,
  ): Promise<ImageWatch> {
    const tracker = await storage.trackWrites(image.id, image.bytes);
    try {
      const file = await fs.promises.open(image.path, 'r');
      return new ImageWatch(image, file, tracker, settleMs);
    } catch (error) {
      await tracker.end().catch(() => undefined);
      throw error;
    }
  }

  get blocks(): number {
    return this.#isKnown.length;
  }

  get blockBytes(): number {
    return this.#blockBytes;
  }

  /**
   * Reads `count` blocks from `first` on. Returns where in the image those begin that were changed
   * by somebody else. Rejects when it is told to end while it waits.
   */
  async look(first: number, count: number, signal?: AbortSignal): Promise<number[]> {
    await this.#forgetWritten();
    let suspects: number[] = [];
    for (let block = first; block < Math.min(this.blocks, first + count); block += 1) {
      if (!(await this.#isAsKnown(block))) suspects.push(block);
    }
    // Twice: a write that had put its bytes into the file has ended by the second time.
    for (let round = 0; round < 2 && suspects.length > 0; round += 1) {
      await sleep(this.#settleMs, undefined, { signal });
      await this.#forgetWritten();
      const still: number[] = [];
      for (const block of suspects) if (!(await this.#isAsKnown(block))) still.push(block);
      suspects = still;
    }
    return suspects.map((block) => block * this.#blockBytes);
  }

  /** The storage daemon may be gone already. */
  async close(): Promise<void> {
    await this.#tracker.end().catch(() => undefined);
    await this.#file.close();
  }

  async #forgetWritten(): Promise<void> {
    for (const extent of await this.#tracker.nextRound()) this.#forget(extent);
  }

  #forget({ from, to }: Extent): void {
    this.#isKnown.fill(0, Math.floor(from / this.#blockBytes), Math.ceil(to / this.#blockBytes));
  }

  /** Takes a block that is not known as it is: a write that is just made to it is in a round. */
  async #isAsKnown(block: number): Promise<boolean> {
    const bytes = Buffer.alloc(this.#blockBytes);
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, block * this.#blockBytes);
    const digest = await digestOf(bytes.subarray(0, bytesRead));
    const known = this.#digests.subarray(block * digestBytes, (block + 1) * digestBytes);
    if (this.#isKnown[block] === 1) return known.equals(digest);
    known.set(digest);
    this.#isKnown[block] = 1;
    return true;
  }
}
