/**
 * Tells while a file system that a node writes to is nearly full, before something fails: the one
 * of an image that may still grow, and that of the run directory. Asked one at a time: a file
 * system that hangs keeps one thread, and nobody waits for it.
 */
import fs from 'node:fs';
import type { Concerns } from './concerns.ts';

export interface RoomWatchOptions {
  readonly runDir: string;
  /** By the disks' ids; those that are written. */
  readonly images: Readonly<Record<string, string>>;
  readonly concerns: Pick<Concerns, 'tell'>;
}

export class RoomWatch {
  readonly #options: RoomWatchOptions;
  #isLooking = false;

  constructor(options: RoomWatchOptions) {
    this.#options = options;
  }

  /** To be called now and then. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { runDir, images, concerns } = this.#options;
    const isFull = (await freeBytes(runDir)) < lowRunDirBytes;
    concerns.tell(
      'room in run directory',
      isFull
        ? `the file system of '${runDir}' is nearly full. What runs has its memory and log; a seed ` +
            'and a cut that is kept need more: free some, or enlarge it'
        : undefined,
    );
    for (const [id, image] of Object.entries(images)) {
      const free = await freeBytes(image);
      const isLow = free < lowDiskBytes && free < (await growth(image));
      concerns.tell(
        `room for disk '${id}'`,
        isLow
          ? `the file system of '${image}' is nearly full, and the image may still grow: free some`
          : undefined,
      );
    }
    this.#isLooking = false;
  }
}

/** What a flooded log or a device state may need at once. */
const lowRunDirBytes = 16 * 1024 * 1024;
/** Seconds of a guest that writes as fast as it can. */
const lowDiskBytes = 64 * 1024 * 1024;

/** What cannot be asked is not known to be full: whoever uses it says what is wrong. */
async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await fs.promises.statfs(path);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

async function growth(image: string): Promise<number> {
  try {
    const { size, blocks } = await fs.promises.stat(image);
    return size - 512 * blocks;
  } catch {
    return 0;
  }
}
