/**
 * What snapshots need: all that is reachable from their manifests. `collect`, `verify` and `sizes`
 * are built on it.
 */
import { keyOf, zeroHash } from './chunk.ts';
import { chunkCount, type LoadNode, levelsOf, walkTree } from './image-tree.ts';
import type { StoredManifest } from './manifest.ts';

/** Told of every chunk and node once, in each role that it has. */
export type OnReached = (name: Buffer, key: string) => void;

/** Remembers over several snapshots what was reached, so that what they share is walked once. */
export class Reach {
  readonly #load: LoadNode;
  readonly #onReached: OnReached;
  /** By role: the same bytes may be a node of several levels, and a chunk (-1). */
  readonly #seen = new Map<number, Set<string>>();

  constructor(load: LoadNode, onReached: OnReached) {
    this.#load = load;
    this.#onReached = onReached;
  }

  /** Throws `store` when a node cannot be read. */
  async from({ images, chunkBytes, deviceState }: StoredManifest): Promise<void> {
    if (!deviceState.sha256.equals(zeroHash)) this.#isNew(deviceState.sha256, -1);
    for (const { root, bytes } of images) {
      const levels = levelsOf(chunkCount(bytes, chunkBytes));
      await walkTree(root, levels, this.#load, (name, level) => this.#isNew(name, level));
    }
  }

  #isNew(name: Buffer, level: number): boolean {
    let seen = this.#seen.get(level);
    if (seen === undefined) {
      seen = new Set();
      this.#seen.set(level, seen);
    }
    const key = keyOf(name);
    if (seen.has(key)) return false;
    seen.add(key);
    this.#onReached(name, key);
    return true;
  }
}
