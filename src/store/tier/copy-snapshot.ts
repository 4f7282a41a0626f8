/**
 * Copies one snapshot from a store to another: its chunks in packs, then its log, then its
 * manifest, which makes it visible there.
 *
 * Intuition: chunks are named by what they are, so what is missing there is found by name, however
 * the packs of both stores are made. They are copied as they are stored, and checked on the way:
 * what is damaged is not copied. Of a tree only what differs from a snapshot that both have is
 * looked at.
 *
 * Contract
 *  1. The manifest gets its name when all that it needs is on the disk there.
 *  2. What a copy that ended in the middle has put into packs is found there by the next one.
 *  3. The source is read beside whoever writes to it. `SourceFailure` says that it could not be
 *     read, damaged or gone.
 */
import path from 'node:path';
import { keyOf, zeroHash } from '../chunk.ts';
import { writeWhole } from '../file-names.ts';
import { changedNames, chunkCount, levelsOf } from '../image-tree.ts';
import { storeLimits } from '../limits.ts';
import { decodeManifest, type StoredImage, type StoredManifest } from '../manifest.ts';
import { Pace } from '../pace.ts';
import { PackWriter } from '../pack.ts';
import { copyLog } from './copy-log.ts';
import { reading, SourceFailure, type Tiers } from './tiers.ts';

/**
 * Resolves with the bytes that were written when it is there. `base`: a snapshot that both stores
 * have whole, the nearer the less is looked at.
 */
export async function copySnapshot(
  tiers: Tiers,
  id: string,
  base: StoredManifest | undefined,
): Promise<number> {
  const { from, to } = tiers;
  const text = from.catalogue.snapshot(id)?.text;
  if (text === undefined) throw new SourceFailure(`There is no snapshot '${id}'`);
  const manifest = decodeManifest(text, id);
  const chunks = new ChunkCopy(tiers);
  try {
    for (const image of manifest.images) await chunks.addImage(image, manifest, base);
    await chunks.add(manifest.deviceState.sha256);
    await chunks.end();
  } catch (error) {
    await chunks.discard();
    throw error;
  }
  const logBytes = await copyLog(tiers, manifest.vm, [manifest]);
  const file = to.places.manifest(manifest.vm, id);
  await to.files.makeDirectory(path.dirname(file));
  await writeWhole(to.files, file, text);
  const { vm, takenAtMs } = manifest;
  to.catalogue.addSnapshot({ id, vm, takenAtMs, text });
  return chunks.bytes + logBytes + text.length;
}

/** Chunks that the other store does not have yet, on their way into its packs. */
class ChunkCopy {
  readonly #tiers: Tiers;
  readonly #pace = new Pace();
  /** Names that are still to be read. */
  #wanted: Buffer[] = [];
  /** Keys of what is wanted, or lies in the pack that is being written. */
  readonly #underWay = new Set<string>();
  #pack: PackWriter;
  /** Of the packs that are closed. */
  bytes = 0;

  constructor(tiers: Tiers) {
    this.#tiers = tiers;
    this.#pack = this.#newPack();
  }

  async addImage(
    { name, bytes, root }: StoredImage,
    { chunkBytes }: StoredManifest,
    base: StoredManifest | undefined,
  ): Promise<void> {
    const known =
      base?.chunkBytes === chunkBytes
        ? base.images.find((image) => image.name === name && image.bytes === bytes)
        : undefined;
    const levels = levelsOf(chunkCount(bytes, chunkBytes));
    const { loadNode } = this.#tiers.from;
    const load = (node: Buffer) => reading(() => loadNode(node));
    for await (const found of changedNames(root, known?.root ?? zeroHash, levels, load)) {
      await this.add(found);
    }
  }

  async add(name: Buffer): Promise<void> {
    const key = keyOf(name);
    if (name.equals(zeroHash) || this.#underWay.has(key)) return;
    if (this.#tiers.to.catalogue.findChunk(name) !== undefined) return;
    this.#underWay.add(key);
    this.#wanted.push(name);
    if (this.#wanted.length >= storeLimits.readChunks) await this.#read();
    await this.#pace.breathe();
  }

  /** The rest, too, is on the disk when it resolves. */
  async end(): Promise<void> {
    await this.#read();
    await this.#seal();
  }

  async discard(): Promise<void> {
    await this.#pack.discard();
  }

  async #read(): Promise<void> {
    this.#tiers.signal?.throwIfAborted();
    const names = this.#wanted;
    this.#wanted = [];
    const chunks = await reading(() => this.#tiers.from.readStored(names));
    names.forEach((name, i) => {
      this.#pack.add(name, chunks[i]!);
    });
    if (this.#pack.wantsFlush) await this.#pack.flush();
    if (this.#pack.bytes >= storeLimits.copyPackBytes) await this.#seal();
  }

  async #seal(): Promise<void> {
    if (this.#pack.isEmpty) return;
    const sealed = await this.#pack.seal();
    this.#tiers.to.catalogue.addPack(sealed);
    this.bytes += sealed.bytes;
    this.#underWay.clear();
    this.#pack = this.#newPack();
  }

  #newPack(): PackWriter {
    return new PackWriter(this.#tiers.to.files, this.#tiers.to.places);
  }
}
