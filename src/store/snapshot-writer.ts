/**
 * Takes one snapshot: what is new of it goes into packs, and at last the manifest makes it visible.
 *
 * Invariant: every chunk that it put or found is pinned before anyone else gets a turn, and the
 * pins are handed to a running `collect` together with the manifest. So there is no moment when
 * `collect` could take one.
 *
 * A crash leaves at most a temporary file and packs that nobody needs: both are swept or collected.
 */
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import type {
  ImageFacts,
  SnapshotFacts,
  SnapshotManifest,
  SnapshotWriter,
} from '../ports/snapshot-store.ts';
import { encodeChunk, keyOf, nameOf, plainChunk, zeroHash } from './chunk.ts';
import { failure, isMissing } from './failure.ts';
import { writeWhole } from './file-names.ts';
import { changeTree, chunkCount, isFull, levelsOf, TreeChanges } from './image-tree.ts';
import { storeLimits } from './limits.ts';
import {
  encodeManifest,
  newSnapshotId,
  publicManifest,
  type StoredImage,
  type StoredManifest,
} from './manifest.ts';
import { Pace } from './pace.ts';
import { PackWriter } from './pack.ts';
import type { Pinning, StoreParts } from './parts.ts';

interface ImageInWork {
  readonly facts: ImageFacts;
  /** Of the parent's image, or zero. */
  readonly root: Buffer;
  readonly changes: TreeChanges;
}

export class StoredSnapshotWriter implements SnapshotWriter, Pinning {
  readonly id: string;
  readonly chunkBytes = storeLimits.chunkBytes;
  readonly pins = new Set<string>();
  readonly parent: StoredManifest | undefined;
  readonly #parts: StoreParts;
  readonly #facts: SnapshotFacts;
  readonly #images = new Map<string, ImageInWork>();
  readonly #pace = new Pace();
  /** Chunks in the pack that is being written: nobody else can find them yet. */
  readonly #ownNew = new Set<string>();
  #pack: PackWriter;
  #deviceState: { readonly bytes: number; readonly sha256: Buffer } | undefined;
  #addedBytes = 0;
  #isUncertain = false;
  #state: 'open' | 'failed' | 'over' = 'open';
  /** What was asked for goes on one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: StoreParts, facts: SnapshotFacts, parent: StoredManifest | undefined) {
    this.id = newSnapshotId(facts.takenAtMs);
    this.parent = parent;
    this.#parts = parts;
    this.#facts = facts;
    this.#pack = new PackWriter(parts.files, parts.places);
    for (const image of facts.images) {
      const root = inheritedRoot(image, parent) ?? zeroHash;
      this.#images.set(image.name, { facts: image, root, changes: new TreeChanges() });
    }
    parts.writers.add(this);
  }

  get cut() {
    return this.#facts;
  }

  put(image: string, offset: number, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      const { facts, changes } = this.#image(image);
      this.#checkRange(facts, offset, bytes.length);
      for (let at = 0; at < bytes.length; at += this.chunkBytes) {
        const name = await this.#keep(bytes.subarray(at, at + this.chunkBytes));
        changes.set((offset + at) / this.chunkBytes, name);
      }
    });
  }

  deviceState(bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#deviceState !== undefined) throw misuse('the device state was given before');
      if (bytes.length > storeLimits.chunkBytesMax) throw misuse('the device state is too long');
      this.#deviceState = { bytes: bytes.length, sha256: await this.#keep(Buffer.from(bytes)) };
    });
  }

  commit(): Promise<SnapshotManifest> {
    return this.#inTurn(async () => {
      if (this.#deviceState === undefined) throw misuse('it has no device state');
      const images: StoredImage[] = [];
      for (const { facts, root, changes } of this.#images.values()) {
        const levels = levelsOf(chunkCount(facts.bytes, this.chunkBytes));
        const { loadNode } = this.#parts;
        const changed = await changeTree(root, levels, changes, loadNode, this.#saveNode);
        images.push({ name: facts.name, bytes: facts.bytes, root: changed });
      }
      await this.#sealPack();
      const manifest = this.#manifest(this.#deviceState, images);
      await this.#publish(manifest);
      return publicManifest(manifest);
    });
  }

  async abort(): Promise<void> {
    const before = this.#last;
    if (this.#state === 'open') this.#state = 'failed';
    await before.catch(() => undefined);
    if (this.#state === 'over') return;
    this.#end();
    await this.#pack.discard();
  }

  /** Puts the snapshot among the others, in one step. */
  async #publish(manifest: StoredManifest): Promise<void> {
    const { files, places, catalogue } = this.#parts;
    const { id, vm, takenAtMs } = manifest;
    const file = places.manifest(vm, id);
    const text = encodeManifest(manifest);
    if (text.length > storeLimits.headBytesMax) throw misuse('its VM file and label are too long');
    await files.makeDirectory(path.dirname(file));
    try {
      await writeWhole(files, file, text);
    } catch (error) {
      await this.#takeBack(file);
      throw error;
    }
    catalogue.addSnapshot({ id, vm, takenAtMs, text });
    this.#parts.lastCommitted = manifest;
    this.#parts.committedPins?.push(this.pins);
    this.#end();
  }

  /**
   * The manifest may have its name already. Unless it is gone for certain, what it needs stays
   * pinned: it would be a snapshot with holes after the next start.
   */
  async #takeBack(file: string): Promise<void> {
    const { files } = this.#parts;
    this.#isUncertain = true;
    try {
      await files.remove(file);
    } catch (thrown) {
      if (!isMissing(thrown)) return;
    }
    await files.syncDirectory(path.dirname(file)).then(
      () => {
        this.#isUncertain = false;
      },
      () => undefined,
    );
  }

  #end(): void {
    this.#state = 'over';
    if (!this.#isUncertain) this.#parts.writers.delete(this);
  }

  #manifest(
    deviceState: StoredManifest['deviceState'],
    images: readonly StoredImage[],
  ): StoredManifest {
    const { images: _, ...facts } = this.#facts;
    return {
      ...facts,
      id: this.id,
      ...(this.parent === undefined ? {} : { parent: this.parent.id }),
      serial: this.#parts.nextSerial(),
      seedId: facts.seedId,
      label: facts.label,
      guest: facts.guest,
      chunkBytes: this.chunkBytes,
      deviceState,
      images: [...images],
      addedBytes: this.#addedBytes,
    };
  }

  readonly #saveNode = async (node: Buffer): Promise<Buffer> => {
    const name = await this.#keep(node, isFull(node) ? plainChunk : encodeChunk);
    this.#parts.rememberNode(name, node);
    return name;
  };

  /** The name of a chunk that is in the store now, or will be with our pack. */
  async #keep(bytes: Uint8Array, encode = encodeChunk): Promise<Buffer> {
    await this.#pace.breathe();
    const name = nameOf(bytes);
    if (name === zeroHash) return name;
    const key = keyOf(name);
    this.pins.add(key); // before anything is awaited: see above
    if (this.#ownNew.has(key) || this.#parts.catalogue.findChunk(name) !== undefined) return name;
    this.#ownNew.add(key);
    const chunk = encode(bytes);
    // What waits to be written must not change with the caller's buffer.
    this.#pack.add(name, chunk.bytes === bytes ? { ...chunk, bytes: Buffer.from(bytes) } : chunk);
    if (this.#pack.wantsFlush) await this.#pack.flush();
    if (this.#pack.isFull) await this.#sealPack();
    return name;
  }

  async #sealPack(): Promise<void> {
    if (this.#pack.isEmpty) return;
    const sealed = await this.#pack.seal();
    this.#parts.catalogue.addPack(sealed);
    this.#addedBytes += sealed.bytes;
    this.#ownNew.clear();
    this.#pack = new PackWriter(this.#parts.files, this.#parts.places);
  }

  #image(name: string): ImageInWork {
    const image = this.#images.get(name);
    if (image === undefined) throw misuse(`it has no image '${name}'`);
    return image;
  }

  #checkRange(image: ImageFacts, offset: number, bytes: number): void {
    const end = offset + bytes;
    const isWhole = end % this.chunkBytes === 0 || end === image.bytes;
    if (offset % this.chunkBytes === 0 && isWhole && offset >= 0 && end <= image.bytes) return;
    throw misuse(
      `'${image.name}' takes chunks of ${this.chunkBytes} bytes up to ${image.bytes}: ` +
        `current value is ${bytes} bytes at ${offset}`,
    );
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(async () => {
      this.#parts.requireOpen();
      if (this.#state !== 'open') throw misuse(`it is ${this.#state}`);
      try {
        return await run();
      } catch (thrown) {
        if (thrown instanceof Misuse) throw thrown;
        this.#state = 'failed';
        throw failure(
          `Cannot write snapshot '${this.id}' to '${this.#parts.places.directory}'`,
          thrown,
        );
      }
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

function inheritedRoot(image: ImageFacts, parent: StoredManifest | undefined): Buffer | undefined {
  if (parent?.chunkBytes !== storeLimits.chunkBytes) return undefined;
  return parent.images.find(({ name, bytes }) => name === image.name && bytes === image.bytes)
    ?.root;
}

/** A caller's mistake: the snapshot itself is none the worse. */
class Misuse extends UnderstudyError {}

function misuse(what: string): Misuse {
  return new Misuse('config', `Cannot take the snapshot so: ${what}`);
}
