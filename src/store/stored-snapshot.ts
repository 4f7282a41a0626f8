/** A snapshot that is there: reading it, whole or in part, and comparing it with another. */
import fs from 'node:fs/promises';
import { UnderstudyError } from '../base/errors.ts';
import type { ChangedRange, Snapshot, SnapshotManifest } from '../ports/snapshot-store.ts';
import { zeroHash } from './chunk.ts';
import { damaged, failure } from './failure.ts';
import { chunkCount, chunksOf, differences, levelsOf, type NamedChunk } from './image-tree.ts';
import { storeLimits } from './limits.ts';
import { publicManifest, type StoredImage, type StoredManifest } from './manifest.ts';
import type { StoreParts } from './parts.ts';

/** Bytes of an image that are not zero. */
interface Stretch {
  readonly offset: number;
  readonly pieces: Buffer[];
}

export class StoredSnapshot implements Snapshot {
  readonly manifest: SnapshotManifest;
  readonly #parts: StoreParts;
  readonly #stored: StoredManifest;

  constructor(parts: StoreParts, stored: StoredManifest) {
    this.#parts = parts;
    this.#stored = stored;
    this.manifest = publicManifest(stored);
  }

  deviceState(): Promise<Buffer> {
    return this.#naming('its device state', async () => {
      const { sha256, bytes } = this.#stored.deviceState;
      if (sha256.equals(zeroHash)) return Buffer.alloc(bytes);
      const [state] = await this.#parts.readChunks([sha256]);
      if (state?.length !== bytes) throw damaged(`It has ${state?.length} bytes, not ${bytes}`);
      return state;
    });
  }

  async read(image: string, offset: number, bytes: number): Promise<Buffer> {
    const found = this.#image(image);
    if (offset < 0 || bytes < 0 || offset + bytes > found.bytes) {
      throw new RangeError(`${bytes} bytes at ${offset} are outside of '${image}'`);
    }
    return this.#naming(`image '${image}'`, async () => {
      const whole = Buffer.alloc(bytes);
      for await (const stretch of this.#stretches(found, offset, offset + bytes)) {
        let at = stretch.offset - offset;
        for (const piece of stretch.pieces) {
          // The first and the last chunk may be wanted in part.
          piece.copy(whole, Math.max(0, at), Math.max(0, -at));
          at += piece.length;
        }
      }
      return whole;
    });
  }

  async materialize(image: string, path: string): Promise<void> {
    const found = this.#image(image);
    return this.#naming(`image '${image}'`, async () => {
      const file = await create(path);
      try {
        await file.truncate(found.bytes);
        for await (const { offset, pieces } of this.#stretches(found, 0, found.bytes)) {
          await writeAll(file, pieces, offset);
        }
        await file.close();
      } catch (thrown) {
        await file.close().catch(() => undefined);
        await fs.rm(path, { force: true }).catch(() => undefined);
        throw failure(`Cannot write '${path}'`, thrown);
      }
    });
  }

  async changes(image: string, since: Snapshot): Promise<ChangedRange[]> {
    const found = this.#image(image);
    const other = await this.#parts.manifest(since.manifest.id);
    const before = other.images.find(({ name }) => name === image);
    const { chunkBytes } = this.#stored;
    if (before?.bytes !== found.bytes || other.chunkBytes !== chunkBytes) {
      throw new UnderstudyError(
        'store',
        `Image '${image}' of snapshots '${other.id}' and '${this.#stored.id}' cannot be compared: ` +
          `it has ${before?.bytes ?? 0} and ${found.bytes} bytes`,
      );
    }
    return this.#naming(`image '${image}'`, async () => {
      const levels = levelsOf(chunkCount(found.bytes, chunkBytes));
      const ranges: { offset: number; bytes: number }[] = [];
      const { loadNode } = this.#parts;
      for await (const chunk of differences(before.root, found.root, levels, loadNode)) {
        const offset = chunk * chunkBytes;
        const bytes = Math.min(chunkBytes, found.bytes - offset);
        const last = ranges.at(-1);
        if (last !== undefined && last.offset + last.bytes === offset) last.bytes += bytes;
        else ranges.push({ offset, bytes });
      }
      return ranges;
    });
  }

  /** What is not zero of a range, chunks whole, in order and joined where they adjoin. */
  async *#stretches(image: StoredImage, from: number, to: number): AsyncGenerator<Stretch> {
    const { chunkBytes } = this.#stored;
    const count = chunkCount(image.bytes, chunkBytes);
    const range = { from: Math.floor(from / chunkBytes), to: chunkCount(to, chunkBytes) };
    let batch: NamedChunk[] = [];
    for await (const chunk of chunksOf(image.root, levelsOf(count), range, this.#parts.loadNode)) {
      batch.push(chunk);
      if (batch.length < storeLimits.readChunks) continue;
      yield* await this.#join(image, batch);
      batch = [];
    }
    yield* await this.#join(image, batch);
  }

  async #join(image: StoredImage, batch: readonly NamedChunk[]): Promise<Stretch[]> {
    const { chunkBytes } = this.#stored;
    const contents = await this.#parts.readChunks(batch.map(({ name }) => name));
    const stretches: (Stretch & { end: number })[] = [];
    batch.forEach(({ chunk }, i) => {
      const offset = chunk * chunkBytes;
      const piece = contents[i];
      const expected = Math.min(chunkBytes, image.bytes - offset);
      if (piece?.length !== expected) {
        throw damaged(`A chunk at ${offset} has ${piece?.length} bytes, not ${expected}`);
      }
      const last = stretches.at(-1);
      if (last?.end === offset) {
        last.pieces.push(piece);
        last.end += piece.length;
      } else {
        stretches.push({ offset, pieces: [piece], end: offset + piece.length });
      }
    });
    return stretches;
  }

  #image(name: string): StoredImage {
    const image = this.#stored.images.find((candidate) => candidate.name === name);
    if (image !== undefined) return image;
    const there = this.#stored.images.map((known) => `'${known.name}'`).join(', ');
    throw new UnderstudyError(
      'store',
      `Snapshot '${this.#stored.id}' has no image '${name}'; it has ${there || 'none'}`,
    );
  }

  /** Errors say which snapshot and what of it could not be read. */
  async #naming<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (thrown) {
      const error = failure(`Cannot read ${what} of snapshot '${this.#stored.id}'`, thrown);
      if (error.code !== 'store' || error.message.includes(this.#stored.id)) throw error;
      throw new UnderstudyError(
        'store',
        `Cannot read ${what} of snapshot '${this.#stored.id}': ${error.message}`,
        { cause: error.cause, ...(error.hint === undefined ? {} : { hint: error.hint }) },
      );
    }
  }
}

async function create(path: string): Promise<fs.FileHandle> {
  try {
    return await fs.open(path, 'wx', 0o600);
  } catch (thrown) {
    throw failure(`Cannot create '${path}'`, thrown);
  }
}

/** writev(2) may write less than it was given. */
async function writeAll(file: fs.FileHandle, pieces: Buffer[], offset: number): Promise<void> {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const { bytesWritten } = await file.writev(pieces, offset);
  if (bytesWritten === total) return;
  const rest = Buffer.concat(pieces).subarray(bytesWritten);
  for (let at = 0; at < rest.length; ) {
    at += (await file.write(rest, at, rest.length - at, offset + bytesWritten + at)).bytesWritten;
  }
}
