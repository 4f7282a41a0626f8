/**
 * Watches the images of a machine's disks for changes that its guest did not make (image-watch.ts):
 * all of them at once at first, then each block once a day, and all of them when somebody asks. At
 * cuts a primary says what it knows of its blocks (disk-digests.ts), and its copy compares that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, reasonOf } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { imageBytes, type Storage } from '../../hypervisor/disks/storage.ts';
import type { Logger } from '../logger.ts';
import { digestBytes } from '../seeding/digests.ts';
import type { DiskDigests } from './disk-digests.ts';
import { ImageWatch, type WatchedImage } from './image-watch.ts';

export interface DiskWatchOptions {
  readonly storage: Storage;
  readonly images: readonly Omit<WatchedImage, 'bytes'>[];
  /** Called for each part that somebody else changed, with a line that says which. */
  readonly onChanged: (what: string) => void;
  readonly log: Logger;
  /** How long a write may be on its way. @default limits.imageSettleMs */
  readonly settleMs?: number;
}

interface ImageAtCut {
  readonly watch: ImageWatch;
  readonly moment: number;
}

/** What `DiskWatch` has seen of each image, at one cut. */
export type ImagesAtCut = readonly ImageAtCut[];

export interface ComparedDisks {
  /** Blocks of which both sides could say what they are. */
  readonly compared: number;
  readonly differences: readonly string[];
}

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #ending = new AbortController();
  readonly #beginning: Promise<readonly ImageWatch[]>;
  #begun: readonly ImageWatch[] = [];
  /** One look at a time: what one has read the other would take for known. */
  #looking: Promise<unknown> = Promise.resolve();

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#beginning = this.#begin();
    void this.#watch();
  }

  /**
   * Looks at all there is. Returns what somebody else changed, a line each. An image that cannot
   * be looked at is told of in the log, and is no reason to give up a copy that can take over.
   */
  async lookAtAll(): Promise<string[]> {
    const found: string[] = [];
    try {
      for (const watch of await this.#beginning) {
        const part = { first: 0, count: watch.blocks, pauseMs: 0 };
        found.push(...(await this.#lookAt(watch, part)));
      }
    } catch (thrown) {
      this.#trouble(asError(thrown));
    }
    return found;
  }

  /**
   * To be called while the machine stands at a cut: what the images were then, of which more can be
   * said later, while it goes on.
   */
  atCut(): ImagesAtCut {
    return this.#begun.map((watch) => ({ watch, moment: watch.settled() }));
  }

  /** On the primary: what is known of so many blocks of each image at a cut. */
  async tell(images: ImagesAtCut, max: number): Promise<DiskDigests[]> {
    const told: DiskDigests[] = [];
    try {
      for (const { watch, moment } of images) {
        await watch.forgetWritten();
        const blocks = watch.nextToTell(moment, max);
        const digests = Buffer.concat(blocks.map((block) => watch.digestAt(block)));
        told.push({ disk: watch.image.id, blocks, digests });
      }
    } catch (thrown) {
      this.#trouble(asError(thrown));
    }
    return told;
  }

  /**
   * On the backup: compares with what the primary said of that cut. Up to `maxReads` blocks of each
   * image are read for it.
   */
  async compare(
    images: ImagesAtCut,
    told: readonly DiskDigests[],
    maxReads: number,
  ): Promise<ComparedDisks> {
    let compared = 0;
    const differences: string[] = [];
    try {
      for (const { disk, blocks, digests } of told) {
        const image = images.find(({ watch }) => watch.image.id === disk);
        if (image === undefined) continue;
        const { watch, moment } = image;
        const theirs = new Map(
          blocks.map((block, index) => [
            block,
            digests.subarray(index * digestBytes, (index + 1) * digestBytes),
          ]),
        );
        const known = await watch.learn(moment, blocks, maxReads);
        const differing = known.filter(
          (block) => theirs.get(block)?.equals(watch.digestAt(block)) !== true,
        );
        compared += known.length;
        const [first] = await this.#stillSettled(image, differing);
        if (first === undefined) continue;
        const at = first * watch.blockBytes;
        differences.push(`disk ${disk} differs from the primary's, first at byte ${at}`);
      }
    } catch (thrown) {
      this.#trouble(asError(thrown));
    }
    return { compared, differences };
  }

  /** A write that was on its way at the cut may end late, on a busy disk. */
  async #stillSettled({ watch, moment }: ImageAtCut, blocks: number[]): Promise<number[]> {
    if (blocks.length === 0) return [];
    const { settleMs = limits.imageSettleMs } = this.#options;
    await sleep(settleMs, undefined, { signal: this.#ending.signal });
    return watch.learn(moment, blocks, 0);
  }

  /** The storage daemon may be gone already. */
  async close(): Promise<void> {
    this.#ending.abort();
    const watches = await this.#beginning;
    await this.#looking;
    for (const watch of watches) await watch.close();
  }

  async #begin(): Promise<readonly ImageWatch[]> {
    const { storage, images, settleMs } = this.#options;
    const watches: ImageWatch[] = [];
    for (const image of images) {
      try {
        const bytes = imageBytes(image.path);
        watches.push(await ImageWatch.begin(storage, { ...image, bytes }, settleMs));
      } catch (thrown) {
        this.#trouble(asError(thrown));
      }
    }
    this.#begun = watches;
    return watches;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#ending;
    const { onChanged } = this.#options;
    const look = async (watch: ImageWatch, first: number, count: number): Promise<void> => {
      const part = { first, count, pauseMs: limits.imagePauseMs };
      for (const what of await this.#lookAt(watch, part)) onChanged(what);
    };
    try {
      for (const watch of await this.#beginning) await look(watch, 0, watch.blocks);
      for (let minute = 0; !signal.aborted; minute += 1) {
        await sleep(limits.imageLookMs, undefined, { signal, ref: false });
        for (const watch of await this.#beginning) {
          await watch.lookAtWritten(limits.imageWrittenBlocks);
          const share = Math.ceil((watch.blocks * limits.imageLookMs) / limits.imageAllMs);
          await look(watch, (minute * share) % watch.blocks, share);
        }
      }
    } catch (thrown) {
      if (!signal.aborted) this.#trouble(asError(thrown));
    }
  }

  /** In small parts, so that a machine's own reads come between. */
  async #lookAt(
    watch: ImageWatch,
    { first, count, pauseMs }: { first: number; count: number; pauseMs: number },
  ): Promise<string[]> {
    const { signal } = this.#ending;
    const found: string[] = [];
    const step = Math.max(1, Math.floor(limits.imageLookBytes / watch.blockBytes));
    const end = Math.min(watch.blocks, first + count);
    for (let at = first; at < end && !signal.aborted; at += step) {
      const looking = this.#looking.then(() => watch.look(at, Math.min(step, end - at), signal));
      this.#looking = looking.catch(() => undefined);
      for (const offset of await looking) {
        const { id, path } = watch.image;
        found.push(`disk ${id}: '${path}' was changed at byte ${offset} by another program`);
      }
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal, ref: false });
    }
    return found;
  }

  #trouble(error: Error): void {
    this.#options.log.warn({ reason: reasonOf(error) }, 'a disk image is not watched');
  }
}
