/**
 * Gives back what no snapshot needs.
 *
 * Mark: all that is reachable from the manifests, from the parents of snapshots that are being
 * taken, and from the last one that was committed. Sweep, pack by pack: a chunk stays when it is
 * marked, pinned by a snapshot that is being taken, or was pinned by one that was committed since
 * the mark began. In one step, without giving anyone a turn, the others are struck from the
 * catalogue: from then on nobody can find, and so come to need, them. Packs without a chunk are
 * removed; packs with few are copied together into new ones first.
 *
 * Chunks are checked when they are copied. A pack with a damaged chunk is left as it is.
 *
 * Dying anywhere is harmless: a chunk may lie in two packs for a while.
 */
import type { Collected } from '../ports/snapshot-store.ts';
import type { PackRow, PieceRow, PlacedChunk } from './catalogue.ts';
import { decodeChunk, keyOf } from './chunk.ts';
import { failure, isDamage, isMissing } from './failure.ts';
import { pieceSuffix } from './file-names.ts';
import { storeLimits } from './limits.ts';
import { pieceName } from './log-piece.ts';
import { Pace } from './pace.ts';
import { PackWriter, packedBytes } from './pack.ts';
import type { StoreParts } from './parts.ts';
import { Reach } from './reach.ts';

/** Throws `store` when what a snapshot needs cannot be told: nothing is removed then. */
export async function collect(parts: StoreParts): Promise<Collected> {
  const grace: Set<string>[] = [];
  parts.committedPins = grace;
  try {
    const live = await mark(parts);
    const sweep = new Sweep(parts, (key) => {
      if (live.has(key) || grace.some((pins) => pins.has(key))) return true;
      for (const { pins } of parts.writers) if (pins.has(key)) return true;
      return false;
    });
    await sweep.packs();
    await sweep.pieces();
    return sweep.collected;
  } catch (thrown) {
    throw failure(`Cannot collect in store '${parts.places.directory}'`, thrown);
  } finally {
    parts.committedPins = undefined;
  }
}

async function mark(parts: StoreParts): Promise<Set<string>> {
  const unreadable = parts.badFiles.find(({ kind }) => kind === 'snapshot');
  if (unreadable !== undefined) throw unreadable.error; // nobody knows what it needs
  const parents = [...parts.writers].flatMap(({ parent }) =>
    parent === undefined ? [] : [parent],
  );
  const live = new Set<string>();
  const reach = new Reach(parts.loadNode, (_, key) => live.add(key));
  const pace = new Pace();
  const last = parts.lastCommitted === undefined ? [] : [parts.lastCommitted];
  for (const manifest of [...parts.manifests(), ...parents, ...last]) {
    await reach.from(manifest);
    await pace.breathe();
  }
  return live;
}

class Sweep {
  readonly #parts: StoreParts;
  readonly #isNeeded: (key: string) => boolean;
  readonly #pace = new Pace();
  #freedBytes = 0;
  #chunks = 0;
  #logPieces = 0;

  constructor(parts: StoreParts, isNeeded: (key: string) => boolean) {
    this.#parts = parts;
    this.#isNeeded = isNeeded;
  }

  get collected(): Collected {
    const { chunks, logPieces } = { chunks: this.#chunks, logPieces: this.#logPieces };
    return { freedBytes: Math.max(0, this.#freedBytes), chunks, logPieces };
  }

  async packs(): Promise<void> {
    const { catalogue } = this.#parts;
    const all = catalogue.packs();
    const small = all.filter(({ bytes }) => bytes < storeLimits.smallPackBytes);
    const joinsSmall = small.length > storeLimits.smallPacks;
    const empty: PackRow[] = [];
    const sparse: PackRow[] = [];
    for (const pack of all) {
      const kept = this.#strike(pack);
      if (kept === 0) empty.push(pack);
      else if (1 - kept / pack.bytes > storeLimits.deadShare) sparse.push(pack);
      else if (joinsSmall && pack.bytes < storeLimits.smallPackBytes) sparse.push(pack);
      await this.#pace.breathe();
    }
    await this.#remove([...empty, ...(await this.#copy(sparse))]);
  }

  /**
   * Strikes the chunks of a pack that nobody needs. Gives the bytes of the others. No turn in
   * between.
   */
  #strike(pack: PackRow): number {
    const dead: Buffer[] = [];
    let kept = 0;
    for (const chunk of this.#parts.catalogue.chunksIn(pack.id)) {
      if (this.#isNeeded(keyOf(chunk.name))) kept += packedBytes(chunk);
      else dead.push(chunk.name);
    }
    if (dead.length > 0) this.#parts.catalogue.dropChunks(dead);
    this.#chunks += dead.length;
    return kept;
  }

  /**
   * Copies what is left in these packs into new ones. Gives the packs that are not needed any more.
   */
  async #copy(packs: readonly PackRow[]): Promise<PackRow[]> {
    let writer = this.#newPack();
    let copied: PackRow[] = [];
    const replaced: PackRow[] = [];
    const seal = async () => {
      if (writer.isEmpty) return;
      const sealed = await writer.seal();
      this.#parts.catalogue.addPack(sealed, { moves: true });
      this.#freedBytes -= sealed.bytes;
      replaced.push(...copied);
      copied = [];
      writer = this.#newPack();
    };
    try {
      for (const pack of packs) {
        const chunks = await this.#readPack(pack);
        if (chunks === undefined) continue;
        for (const [chunk, bytes] of chunks) writer.add(chunk.name, { ...chunk, bytes });
        copied.push(pack);
        await writer.flush();
        if (writer.isFull) await seal();
      }
      await seal();
    } catch (error) {
      await writer.discard();
      throw error;
    }
    return replaced;
  }

  #newPack(): PackWriter {
    return new PackWriter(this.#parts.files, this.#parts.places);
  }

  /** Stored bytes of the chunks that are left, checked; `undefined` when one is damaged. */
  async #readPack(pack: PackRow): Promise<[PlacedChunk, Buffer][] | undefined> {
    const { files, places, catalogue } = this.#parts;
    try {
      const file = await files.open(places.pack(pack.id));
      try {
        const chunks: [PlacedChunk, Buffer][] = [];
        for (const chunk of catalogue.chunksIn(pack.id)) {
          const bytes = await file.read(chunk.offset, chunk.storedBytes);
          decodeChunk(chunk.name, { ...chunk, bytes });
          chunks.push([chunk, bytes]);
          await this.#pace.breathe();
        }
        return chunks;
      } finally {
        await file.close();
      }
    } catch (thrown) {
      if (isDamage(thrown)) return undefined;
      throw thrown;
    }
  }

  async #remove(packs: readonly PackRow[]): Promise<void> {
    const { files, places, catalogue } = this.#parts;
    for (const { id, bytes } of packs) {
      catalogue.dropPack(id);
      this.#parts.packs.drop(id);
      await files.remove(places.pack(id));
      this.#freedBytes += bytes;
    }
    if (packs.length > 0) await files.syncDirectory(places.packs);
  }

  /** Log before the oldest cut of its run. */
  async pieces(): Promise<void> {
    const { catalogue, places, files } = this.#parts;
    const keptFrom = this.#oldestCuts();
    for (const row of catalogue.pieces()) {
      if (row.to > (keptFrom.get(runKey(row)) ?? Number.POSITIVE_INFINITY)) continue;
      catalogue.dropPiece(row);
      try {
        await files.remove(`${places.run(row)}/${pieceName(row)}${pieceSuffix}`);
      } catch (thrown) {
        if (!isMissing(thrown)) throw thrown;
      }
      this.#freedBytes += row.bytes;
      this.#logPieces += 1;
    }
  }

  #oldestCuts(): Map<string, number> {
    const oldest = new Map<string, number>();
    const cuts = [...this.#parts.manifests(), ...[...this.#parts.writers].map(({ cut }) => cut)];
    for (const { vm, run, position } of cuts) {
      const key = runKey({ vm, run });
      oldest.set(key, Math.min(position, oldest.get(key) ?? Number.POSITIVE_INFINITY));
    }
    return oldest;
  }
}

const runKey = ({ vm, run }: Pick<PieceRow, 'vm' | 'run'>): string => `${vm}/${run}`;
