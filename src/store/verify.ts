/**
 * Reads and hashes all that a store holds, and says which snapshots each damage touches.
 *
 * First the packs from begin to end, as they lie on the disk; then manifests and pieces. Only if
 * something was wrong each snapshot is walked by itself, to find out which ones need it.
 */
import type { Damage, VerifyReport } from '../ports/snapshot-store.ts';
import type { PackRow, PieceRow } from './catalogue.ts';
import { decodeChunk, keyOf, shortName } from './chunk.ts';
import { isDamage, isMissing } from './failure.ts';
import { pieceSuffix, readWhole } from './file-names.ts';
import { storeLimits } from './limits.ts';
import { pieceName, readPiece } from './log-piece.ts';
import { decodeManifest, type StoredManifest } from './manifest.ts';
import { Pace } from './pace.ts';
import { type PackEntry, readPackIndex } from './pack.ts';
import type { StoreParts } from './parts.ts';
import { Reach } from './reach.ts';

export async function verify(parts: StoreParts): Promise<VerifyReport> {
  const verifying = new Verifying(parts);
  await verifying.packs();
  await verifying.snapshots();
  await verifying.pieces();
  return verifying.report;
}

class Verifying {
  readonly #parts: StoreParts;
  readonly #pace = new Pace();
  /** What is wrong with a chunk, by its key. */
  readonly #badChunks = new Map<string, string>();
  readonly #damaged: Damage[] = [];
  #manifests: StoredManifest[] = [];
  #chunks = 0;
  #pieces = 0;
  #bytes = 0;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  get report(): VerifyReport {
    return {
      snapshots: this.#manifests.length,
      chunks: this.#chunks,
      logPieces: this.#pieces,
      bytes: this.#bytes,
      damaged: this.#damaged.slice(0, storeLimits.damagesMax),
    };
  }

  async packs(): Promise<void> {
    for (const pack of this.#parts.catalogue.packs()) {
      try {
        await this.#pack(pack);
      } catch (thrown) {
        if (isMissing(thrown) && !this.#isKnown(pack)) continue; // collected meanwhile
        if (!isMissing(thrown) && !isDamage(thrown)) throw thrown;
        for (const { name } of this.#parts.catalogue.chunksIn(pack.id)) {
          this.#badChunks.set(keyOf(name), thrown instanceof Error ? thrown.message : '');
        }
      }
    }
  }

  async #pack({ id }: PackRow): Promise<void> {
    const { files, places } = this.#parts;
    const { entries } = await readPackIndex(files, places, id);
    const file = await files.open(places.pack(id));
    try {
      for (let from = 0; from < entries.length; ) {
        const part = entriesFrom(entries, from);
        const start = part[0]?.offset ?? 0;
        const last = part.at(-1);
        const end = last === undefined ? start : last.offset + last.storedBytes;
        const bytes = await file.read(start, end - start);
        for (const entry of part) {
          const at = entry.offset - start;
          this.#chunk(id, entry, bytes.subarray(at, at + entry.storedBytes));
          await this.#pace.breathe();
        }
        from += part.length;
      }
    } finally {
      await file.close();
    }
  }

  #chunk(pack: string, entry: PackEntry, bytes: Buffer): void {
    this.#chunks += 1;
    this.#bytes += bytes.length;
    try {
      decodeChunk(entry.name, { ...entry, bytes });
    } catch {
      // Another copy of it may be the one that is used.
      if (this.#parts.catalogue.findChunk(entry.name)?.pack !== pack) return;
      const what = `Chunk ${shortName(entry.name)} at ${entry.offset} of pack '${this.#parts.places.pack(pack)}' is damaged`;
      this.#badChunks.set(keyOf(entry.name), what);
    }
  }

  #isKnown(pack: PackRow): boolean {
    return this.#parts.catalogue.packs().some(({ id }) => id === pack.id);
  }

  async snapshots(): Promise<void> {
    for (const { kind, name, error } of this.#parts.badFiles) {
      if (kind === 'snapshot') this.#damaged.push({ what: error.message, snapshots: [name] });
      if (kind === 'pack') this.#damaged.push({ what: error.message, snapshots: [] });
      if (kind === 'piece') this.#damaged.push({ what: error.message, snapshots: [] });
    }
    await this.#readManifests();
    const shared = new Reach(this.#parts.loadNode, (name, key) => this.#look(name, key));
    let isUnreadable = false;
    for (const manifest of this.#manifests) {
      await shared.from(manifest).catch((thrown: unknown) => {
        if (!isDamage(thrown)) throw thrown;
        isUnreadable = true;
      });
      await this.#pace.breathe();
    }
    if (isUnreadable || this.#badChunks.size > 0) await this.#nameSnapshots();
  }

  /** From the files, not from the catalogue. */
  async #readManifests(): Promise<void> {
    const { catalogue, files, places } = this.#parts;
    for (const { id, vm } of catalogue.snapshots()) {
      try {
        const text = await readWhole(files, places.manifest(vm, id), storeLimits.headBytesMax);
        this.#manifests.push(decodeManifest(text ?? Buffer.alloc(0), id));
        this.#bytes += text?.length ?? 0;
      } catch (thrown) {
        // Removed meanwhile.
        if (isMissing(thrown) && catalogue.snapshot(id) === undefined) continue;
        if (!isMissing(thrown) && !isDamage(thrown)) throw thrown;
        const what = isMissing(thrown)
          ? `Snapshot '${id}' has lost its manifest`
          : (thrown as Error).message;
        this.#damaged.push({ what, snapshots: [id] });
      }
    }
  }

  #look(name: Buffer, key: string): void {
    if (this.#parts.catalogue.findChunk(name) !== undefined) return;
    this.#badChunks.set(key, `Chunk ${shortName(name)} is missing`);
  }

  async #nameSnapshots(): Promise<void> {
    const touched = new Map<string, string[]>();
    for (const manifest of this.#manifests) {
      const needs = new Set<string>();
      const reach = new Reach(this.#parts.loadNode, (_, key) => {
        const what = this.#badChunks.get(key);
        if (what !== undefined) needs.add(what);
      });
      await reach.from(manifest).catch((thrown: unknown) => {
        if (!isDamage(thrown)) throw thrown;
        // The node that cannot be read was reached, so it is among them, unless it broke just now.
        if (needs.size === 0) needs.add(thrown.message);
      });
      for (const what of needs) touched.set(what, [...(touched.get(what) ?? []), manifest.id]);
    }
    for (const what of new Set(this.#badChunks.values())) {
      if (!touched.has(what)) touched.set(what, []);
    }
    for (const [what, snapshots] of touched) this.#damaged.push({ what, snapshots });
  }

  async pieces(): Promise<void> {
    const { catalogue, files, places } = this.#parts;
    for (const row of catalogue.pieces()) {
      const file = `${places.run(row)}/${pieceName(row)}${pieceSuffix}`;
      try {
        await readPiece(files, file);
        this.#pieces += 1;
        this.#bytes += row.bytes;
      } catch (thrown) {
        const isGone = isMissing(thrown);
        // Collected meanwhile.
        if (isGone && catalogue.pieceAt(row, row.from) === undefined) continue;
        if (!isGone && !isDamage(thrown)) throw thrown;
        const what = isGone ? `Piece of log '${file}' is missing` : (thrown as Error).message;
        this.#damaged.push({ what, snapshots: this.#before(row) });
      }
      await this.#pace.breathe();
    }
  }

  /** Snapshots from which the way forward goes through a piece. */
  #before(row: PieceRow): string[] {
    return this.#manifests
      .filter(({ vm, run, position }) => vm === row.vm && run === row.run && position < row.to)
      .map(({ id }) => id);
  }
}

/** Neighbours that are read with one call. */
function entriesFrom(entries: readonly PackEntry[], from: number): PackEntry[] {
  const part: PackEntry[] = [];
  const start = entries[from]?.offset ?? 0;
  for (let i = from; i < entries.length; i += 1) {
    const entry = entries[i]!;
    const end = entry.offset + entry.storedBytes;
    if (part.length > 0 && end - start > storeLimits.readBytes) break;
    part.push(entry);
  }
  return part;
}
