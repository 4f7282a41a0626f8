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
 *  4. What is said of a block that `isSettled` was true when `settled` was called, and for
 *     `imageSettleMs` before: it is known, and no write to it has ended in that time. So two nodes
 *     can compare such blocks of a cut without reading them while the machine stands. A write that
 *     is on its way there on one node has ended lately on the other one: QEMU waits for none when
 *     it records or replays (block/io.c, bdrv_drain_all_begin).
 */
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../../base/limits.ts';
import { type Extent, nextData } from '../../host/libc.ts';
import type { Storage } from '../../hypervisor/disks/storage.ts';
import type { WriteTracker } from '../../hypervisor/disks/write-tracker.ts';
import { blockBytesOf, digestBytes, digestOf, zerosDigest } from '../seeding/digests.ts';

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
  /** Counts what was learned of blocks, and when. */
  #clock = 1;
  /** By block: when its digest was read; 0: it is not known. */
  readonly #learnedAt: Float64Array;
  /** By block: when it was last found in a round; 0: in none. */
  readonly #writtenAt: Float64Array;
  readonly #settleMs: number;
  #forgetting: Promise<void> = Promise.resolve();
  /** Rounds that ended, the newest last: when, and the clock then. */
  #rounds: { readonly at: number; readonly clock: number }[] = [];
  /** What was told of: up to when it was learned, and up to which block of those known long. */
  #toldTo = 0;
  #nextToTell = 0;

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
    const blocks = Math.ceil(image.bytes / this.#blockBytes);
    this.#learnedAt = new Float64Array(blocks);
    this.#writtenAt = new Float64Array(blocks);
    this.#digests = Buffer.alloc(blocks * digestBytes);
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
    return this.#learnedAt.length;
  }

  get blockBytes(): number {
    return this.#blockBytes;
  }

  /**
   * Reads `count` blocks from `first` on. Returns where in the image those begin that were changed
   * by somebody else. Rejects when it is told to end while it waits.
   */
  async look(first: number, count: number, signal?: AbortSignal): Promise<number[]> {
    await this.forgetWritten();
    let suspects: number[] = [];
    for (let block = first; block < Math.min(this.blocks, first + count); block += 1) {
      if (!(await this.#isAsKnown(block))) suspects.push(block);
    }
    // Twice: a write that had put its bytes into the file has ended by the second time.
    for (let round = 0; round < 2 && suspects.length > 0; round += 1) {
      await sleep(this.#settleMs, undefined, { signal });
      await this.forgetWritten();
      const still: number[] = [];
      for (const block of suspects) if (!(await this.#isAsKnown(block))) still.push(block);
      suspects = still;
    }
    return suspects.map((block) => block * this.#blockBytes);
  }

  /** Learns what the guest has written, up to so many blocks. */
  async lookAtWritten(max: number): Promise<void> {
    await this.forgetWritten();
    let left = max;
    for (let block = 0; block < this.blocks && left > 0; block += 1) {
      if (this.#learnedAt[block] !== 0 || this.#writtenAt[block] === 0) continue;
      await this.#isAsKnown(block);
      left -= 1;
    }
  }

  /** For `isSettled`: the last moment of which all writes have ended long ago. */
  settled(): number {
    const until = performance.now() - this.#settleMs;
    return this.#rounds.findLast(({ at }) => at <= until)?.clock ?? 0;
  }

  /** Whether what is known of a block was true at the moment, too. After `forgetWritten`. */
  isSettled(moment: number, block: number): boolean {
    return this.#learnedAt[block] !== 0 && (this.#writtenAt[block] ?? 0) <= moment;
  }

  digestAt(block: number): Buffer {
    return this.#digests.subarray(block * digestBytes, (block + 1) * digestBytes);
  }

  /**
   * Blocks that were settled, ascending: those that were learned since the last call, and then
   * others in turn. After `forgetWritten`.
   */
  nextToTell(moment: number, max: number): number[] {
    const learned = (block: number): number => this.#learnedAt[block] ?? 0;
    const fresh: number[] = [];
    for (let block = 0; block < this.blocks; block += 1) {
      if (learned(block) > this.#toldTo && this.isSettled(moment, block)) fresh.push(block);
    }
    const first = fresh.sort((a, b) => learned(a) - learned(b)).slice(0, max);
    this.#toldTo = learned(first.at(-1) ?? -1) || this.#toldTo;
    const told = new Set(first);
    for (let seen = 0; seen < this.blocks && told.size < max; seen += 1) {
      if (this.isSettled(moment, this.#nextToTell)) told.add(this.#nextToTell);
      this.#nextToTell = (this.#nextToTell + 1) % this.blocks;
    }
    return [...told].sort((a, b) => a - b);
  }

  /** Those of these blocks that were settled; up to `maxReads` are read for it. */
  async learn(moment: number, wanted: readonly number[], maxReads: number): Promise<number[]> {
    await this.forgetWritten();
    let left = maxReads;
    for (const block of wanted) {
      const isUnknown = this.#learnedAt[block] === 0 && (this.#writtenAt[block] ?? 0) <= moment;
      if (!isUnknown || left === 0) continue;
      await this.#isAsKnown(block);
      left -= 1;
    }
    if (left < maxReads) await this.forgetWritten();
    return wanted.filter((block) => this.isSettled(moment, block));
  }

  /** The storage daemon may be gone already. */
  async close(): Promise<void> {
    await this.#tracker.end().catch(() => undefined);
    await this.#file.close();
  }

  /** What was written up to now is not known any more. One after the other. */
  forgetWritten(): Promise<void> {
    const forgetting = this.#forgetting.then(async () => {
      try {
        for (const extent of await this.#tracker.nextRound()) this.#forget(extent);
        const at = performance.now();
        this.#rounds.push({ at, clock: this.#tick() });
        // The newest of those that are settled is enough.
        while ((this.#rounds[1]?.at ?? at) <= at - this.#settleMs) this.#rounds.shift();
      } catch (thrown) {
        this.#forget({ from: 0, to: this.image.bytes }); // a round may be lost
        throw thrown;
      }
    });
    this.#forgetting = forgetting.catch(() => undefined);
    return forgetting;
  }

  #tick(): number {
    this.#clock += 1;
    return this.#clock;
  }

  #forget({ from, to }: Extent): void {
    const [first, end] = [Math.floor(from / this.#blockBytes), Math.ceil(to / this.#blockBytes)];
    this.#learnedAt.fill(0, first, end);
    this.#writtenAt.fill(this.#tick(), first, end);
  }

  /** Most of a large image may be holes: they need not be read. */
  async #digestNow(block: number): Promise<Buffer> {
    const at = block * this.#blockBytes;
    const data = nextData(this.#file.fd, at);
    if (data === undefined || data.from >= at + this.#blockBytes) return zerosDigest;
    const bytes = Buffer.alloc(this.#blockBytes);
    const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, at);
    return digestOf(bytes.subarray(0, bytesRead));
  }

  /** Takes a block that is not known as it is: a write that is just made to it is in a round. */
  async #isAsKnown(block: number): Promise<boolean> {
    const writtenAt = this.#writtenAt[block];
    const digest = await this.#digestNow(block);
    // A round that ended meanwhile had it: what was read may be from before that write.
    if (this.#writtenAt[block] !== writtenAt) return true;
    const known = this.digestAt(block);
    if (this.#learnedAt[block] !== 0) return known.equals(digest);
    known.set(digest);
    this.#learnedAt[block] = this.#tick();
    return true;
  }
}
