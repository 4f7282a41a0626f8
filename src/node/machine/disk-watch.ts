/**
 * Watches the images of a machine's disks for changes that its guest did not make (image-watch.ts):
 * all of them at once at first, then each block once a day, and all of them when somebody asks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { imageBytes, type Storage } from '../../hypervisor/disks/storage.ts';
import type { Logger } from '../logger.ts';
import { ImageWatch, type WatchedImage } from './image-watch.ts';

export interface DiskWatchOptions {
  readonly storage: Storage;
  readonly images: readonly Omit<WatchedImage, 'bytes'>[];
  /** Called for each part that somebody else changed, with a line that says which. */
  readonly onChanged: (what: string) => void;
  readonly log: Logger;
}

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #ending = new AbortController();
  readonly #beginning: Promise<readonly ImageWatch[]>;
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

  /** The storage daemon may be gone already. */
  async close(): Promise<void> {
    this.#ending.abort();
    const watches = await this.#beginning;
    await this.#looking;
    for (const watch of watches) await watch.close();
  }

  async #begin(): Promise<readonly ImageWatch[]> {
    const watches: ImageWatch[] = [];
    for (const image of this.#options.images) {
      try {
        const bytes = imageBytes(image.path);
        watches.push(await ImageWatch.begin(this.#options.storage, { ...image, bytes }));
      } catch (thrown) {
        this.#trouble(asError(thrown));
      }
    }
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
    this.#options.log.warn({ reason: error.message }, 'a disk image is not watched');
  }
}
