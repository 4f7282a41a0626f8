/**
 * Brings a catalogue up to the files: all of it when it is new, else only what it does not know
 * yet.
 *
 * Files of the store never change under their name, so the names tell. When a pack has gone, the
 * catalogue is made anew: chunks that it placed there may also lie elsewhere. Who follows a store
 * all the time has the places in that pack dropped instead, and makes the catalogue anew when it
 * misses a chunk.
 */
import path from 'node:path';
import type { Catalogue } from './catalogue.ts';
import { isDamage, isMissing } from './failure.ts';
import { manifestSuffix, type Places, packSuffix, pieceSuffix, readWhole } from './file-names.ts';
import type { Files } from './files.ts';
import { storeLimits } from './limits.ts';
import { readPieceHead } from './log-piece.ts';
import { decodeManifest } from './manifest.ts';
import { Pace } from './pace.ts';
import { readPackIndex } from './pack.ts';

/** A file that could not be read: what was wrong, and which. */
export interface BadFile {
  readonly kind: 'pack' | 'snapshot' | 'piece';
  /** Id of the pack or snapshot; path of the piece. */
  readonly name: string;
  readonly error: Error;
}

/** What becomes of a catalogue that places chunks in a pack which has gone. */
export type GonePacks = 'make anew' | 'drop';

export interface Refreshed {
  /** Files that are damaged; they are not in the catalogue. */
  readonly bad: readonly BadFile[];
  /** Packs that were known, and are gone. */
  readonly gone: readonly string[];
}

/** Throws what is no damage. */
export async function refresh(
  files: Files,
  places: Places,
  catalogue: Catalogue,
  gonePacks: GonePacks,
): Promise<Refreshed> {
  const refreshing = new Refreshing(files, places, catalogue);
  const gone = await refreshing.packs(gonePacks);
  await refreshing.snapshots();
  await refreshing.pieces();
  return { bad: refreshing.bad, gone };
}

class Refreshing {
  readonly bad: BadFile[] = [];
  readonly #files: Files;
  readonly #places: Places;
  readonly #catalogue: Catalogue;
  readonly #pace = new Pace();

  constructor(files: Files, places: Places, catalogue: Catalogue) {
    this.#files = files;
    this.#places = places;
    this.#catalogue = catalogue;
  }

  /** Gives those that are gone. */
  async packs(gonePacks: GonePacks): Promise<string[]> {
    const there = new Set(await this.#names(this.#places.packs, packSuffix));
    const before = this.#catalogue.packs().map(({ id }) => id);
    const gone = before.filter((id) => !there.has(id));
    if (gonePacks === 'drop') for (const id of gone) this.#catalogue.dropPack(id);
    else if (gone.length > 0) this.#catalogue.clear();
    const known = new Set(this.#catalogue.packs().map(({ id }) => id));
    for (const id of there) {
      if (known.has(id)) continue;
      await this.#try('pack', id, async () => {
        this.#catalogue.addPack(await readPackIndex(this.#files, this.#places, id));
      });
    }
    return gone;
  }

  async snapshots(): Promise<void> {
    const gone = new Set(this.#catalogue.snapshots().map(({ id }) => id));
    for (const vm of await this.#files.list(this.#places.snapshots)) {
      const directory = path.join(this.#places.snapshots, vm);
      for (const id of await this.#names(directory, manifestSuffix)) {
        if (gone.delete(id)) continue;
        await this.#try('snapshot', id, async () => {
          const text = await this.#read(this.#places.manifest(vm, id));
          const { takenAtMs } = decodeManifest(text, id);
          this.#catalogue.addSnapshot({ id, vm, takenAtMs, text });
        });
      }
    }
    for (const id of gone) this.#catalogue.dropSnapshot(id);
  }

  async pieces(): Promise<void> {
    const gone = new Map(
      this.#catalogue.pieces().map((row) => [`${row.vm}/${row.run}/${row.from}-${row.to}`, row]),
    );
    for (const vm of await this.#files.list(this.#places.logs)) {
      for (const run of await this.#files.list(path.join(this.#places.logs, vm))) {
        const directory = this.#places.run({ vm, run });
        for (const name of await this.#names(directory, pieceSuffix)) {
          if (gone.delete(`${vm}/${run}/${name.split('-').map(Number).join('-')}`)) continue;
          const file = path.join(directory, name + pieceSuffix);
          await this.#try('piece', file, async () => {
            this.#catalogue.addPiece(await readPieceHead(this.#files, file));
          });
        }
      }
    }
    for (const row of gone.values()) this.#catalogue.dropPiece(row);
  }

  /** Files with the suffix, without it. */
  async #names(directory: string, suffix: string): Promise<string[]> {
    const names = await this.#files.list(directory);
    return names
      .filter((name) => name.endsWith(suffix) && !name.startsWith('.'))
      .map((name) => name.slice(0, -suffix.length));
  }

  async #read(file: string): Promise<Buffer> {
    return (await readWhole(this.#files, file, storeLimits.headBytesMax)) ?? Buffer.alloc(0);
  }

  async #try(kind: BadFile['kind'], name: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (thrown) {
      if (isMissing(thrown)) return; // the writer removed it while we were reading
      if (!isDamage(thrown)) throw thrown;
      this.bad.push({ kind, name, error: thrown });
    }
    await this.#pace.breathe();
  }
}
