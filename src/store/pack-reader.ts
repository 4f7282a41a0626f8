/**
 * Reads chunks from packs, each checked. Neighbours are read at once, and packs stay open for a
 * while.
 */
import type { Catalogue, ChunkPlace } from './catalogue.ts';
import { decodeChunk, type StoredChunk, shortName } from './chunk.ts';
import { damaged, isMissing } from './failure.ts';
import type { Places } from './file-names.ts';
import type { Files, StoreFile } from './files.ts';
import { storeLimits } from './limits.ts';
import { Pace } from './pace.ts';

/** A pack that is open; closed when it is dropped and nobody reads. */
interface OpenPack {
  readonly file: Promise<StoreFile>;
  readers: number;
  isDropped: boolean;
}

/** Chunks that are read with one call, by where they are in the list that was asked for. */
interface Run {
  readonly pack: string;
  readonly offset: number;
  bytes: number;
  readonly chunks: { readonly index: number; readonly place: ChunkPlace }[];
}

export class PackReader {
  readonly #files: Files;
  readonly #places: Places;
  readonly #catalogue: Catalogue;
  readonly #open = new Map<string, OpenPack>();

  constructor(files: Files, places: Places, catalogue: Catalogue) {
    this.#files = files;
    this.#places = places;
    this.#catalogue = catalogue;
  }

  /**
   * The chunks with these names, in their order. When a pack has gone or a chunk is nowhere,
   * `onMissing` is called once and all is looked up again. Throws `store` for what is damaged or
   * missing.
   */
  async read(names: readonly Buffer[], onMissing: () => Promise<void>): Promise<Buffer[]> {
    return (await this.#readTwice(names, onMissing)).map(({ bytes }) => bytes);
  }

  /** The same chunks, as checked, but as they lie in their packs. */
  async readStored(
    names: readonly Buffer[],
    onMissing: () => Promise<void>,
  ): Promise<StoredChunk[]> {
    return (await this.#readTwice(names, onMissing)).map(({ stored }) => stored);
  }

  async #readTwice(
    names: readonly Buffer[],
    onMissing: () => Promise<void>,
  ): Promise<CheckedChunk[]> {
    try {
      return await this.#tryRead(names);
    } catch (thrown) {
      if (!isMissing(thrown) && !(thrown instanceof MissingChunk)) throw thrown;
      await onMissing();
    }
    try {
      return await this.#tryRead(names);
    } catch (thrown) {
      if (thrown instanceof MissingChunk) throw damaged(thrown.message);
      throw thrown;
    }
  }

  /** A pack that was removed: who reads it now may finish. */
  drop(pack: string): void {
    const open = this.#open.get(pack);
    if (open === undefined) return;
    this.#open.delete(pack);
    open.isDropped = true;
    closeIfUnused(open);
  }

  close(): void {
    for (const pack of [...this.#open.keys()]) this.drop(pack);
  }

  async #tryRead(names: readonly Buffer[]): Promise<CheckedChunk[]> {
    const found = new Array<CheckedChunk>(names.length);
    const pace = new Pace();
    for (const run of this.#plan(names)) {
      const bytes = await this.#readRun(run);
      for (const { index, place } of run.chunks) {
        const from = place.offset - run.offset;
        const { codec, rawBytes, storedBytes } = place;
        const stored = { codec, rawBytes, bytes: bytes.subarray(from, from + storedBytes) };
        found[index] = { stored, bytes: this.#decode(names[index]!, stored, place.pack) };
        await pace.breathe();
      }
    }
    return found;
  }

  #decode(name: Buffer, stored: StoredChunk, pack: string): Buffer {
    try {
      return decodeChunk(name, stored);
    } catch (thrown) {
      throw damaged(`Pack '${this.#places.pack(pack)}' is damaged`, thrown);
    }
  }

  #plan(names: readonly Buffer[]): Run[] {
    const chunks = names.map((name, index) => {
      const place = this.#catalogue.findChunk(name);
      if (place === undefined) throw new MissingChunk(name);
      return { index, place };
    });
    chunks.sort(({ place: a }, { place: b }) =>
      a.pack === b.pack ? a.offset - b.offset : a.pack < b.pack ? -1 : 1,
    );
    const runs: Run[] = [];
    for (const chunk of chunks) {
      const { pack, offset, storedBytes } = chunk.place;
      const last = runs.at(-1);
      const end = offset + storedBytes;
      if (
        last?.pack === pack &&
        offset - (last.offset + last.bytes) <= storeLimits.readGapBytes &&
        end - last.offset <= storeLimits.readBytes
      ) {
        last.chunks.push(chunk);
        last.bytes = Math.max(last.bytes, end - last.offset);
      } else {
        runs.push({ pack, offset, bytes: storedBytes, chunks: [chunk] });
      }
    }
    return runs;
  }

  async #readRun({ pack, offset, bytes }: Run): Promise<Buffer> {
    const open = this.#get(pack);
    open.readers += 1;
    try {
      return await (await open.file).read(offset, bytes);
    } finally {
      open.readers -= 1;
      if (open.isDropped) closeIfUnused(open);
      else this.#evict();
    }
  }

  #get(pack: string): OpenPack {
    const known = this.#open.get(pack);
    this.#open.delete(pack);
    const open = known ?? {
      file: this.#files.open(this.#places.pack(pack)),
      readers: 0,
      isDropped: false,
    };
    this.#open.set(pack, open); // the one used last is at the end
    if (known === undefined) open.file.catch(() => this.#open.delete(pack));
    return open;
  }

  #evict(): void {
    for (const [pack, open] of this.#open) {
      if (this.#open.size <= storeLimits.packsOpen) return;
      if (open.readers === 0) this.drop(pack);
    }
  }
}

/** A chunk that is what its name says. */
interface CheckedChunk {
  readonly stored: StoredChunk;
  readonly bytes: Buffer;
}

/** A chunk that the catalogue does not know. */
class MissingChunk extends Error {
  constructor(name: Buffer) {
    super(`Chunk ${shortName(name)} is missing`);
  }
}

function closeIfUnused(open: OpenPack): void {
  if (open.readers > 0) return;
  // Nothing was written through it: that closing it fails has no consequence.
  open.file.then((file) => file.close()).catch(() => undefined);
}
