/**
 * What the parts of an open store share: its files, catalogue, readers, and who may not lose a
 * chunk.
 */
import { UnderstudyError } from '../base/errors.ts';
import type { RunName } from '../ports/snapshot-store.ts';
import type { Catalogue } from './catalogue.ts';
import { keyOf, type StoredChunk } from './chunk.ts';
import { damaged } from './failure.ts';
import type { Places } from './file-names.ts';
import type { Files } from './files.ts';
import { isNode } from './image-tree.ts';
import { storeLimits } from './limits.ts';
import { decodeManifest, type StoredManifest } from './manifest.ts';
import { oldestFirst } from './order.ts';
import { PackReader } from './pack-reader.ts';
import { type BadFile, type GonePacks, refresh } from './refresh.ts';

/** A snapshot that is being taken, as `collect` sees it. */
export interface Pinning {
  /** Keys of all chunks that it has put or found. */
  readonly pins: ReadonlySet<string>;
  readonly parent: StoredManifest | undefined;
  /** Where its log begins. */
  readonly cut: RunName & { readonly position: number };
  abort(): Promise<void>;
}

export class StoreParts {
  readonly files: Files;
  readonly places: Places;
  readonly catalogue: Catalogue;
  readonly mode: 'read' | 'write';
  readonly packs: PackReader;
  /** Snapshots that are being taken. */
  readonly writers = new Set<Pinning>();
  /** While `collect` runs: what was pinned by snapshots that were committed since it began. */
  committedPins: Set<string>[] | undefined;
  /**
   * The snapshot that was committed last, also when it was removed since: what is put into the next
   * one is put over it.
   */
  lastCommitted: StoredManifest | undefined;
  #lastSerial: number | undefined;
  /** As the last refresh found them. */
  badFiles: readonly BadFile[] = [];
  readonly #nodes = new Map<string, Buffer>();
  #refreshing: Promise<void> | undefined;
  /** The catalogue may lack chunks that are there. */
  #hasDropped = false;
  #isClosed = false;

  constructor(options: Pick<StoreParts, 'files' | 'places' | 'catalogue' | 'mode'>) {
    this.files = options.files;
    this.places = options.places;
    this.catalogue = options.catalogue;
    this.mode = options.mode;
    this.packs = new PackReader(this.files, this.places, this.catalogue);
  }

  /** Throws when the store is open for reading only, or closed. */
  requireWriter(what: string): void {
    this.requireOpen();
    if (this.mode === 'write') return;
    throw new UnderstudyError(
      'store',
      `Cannot ${what}: store '${this.places.directory}' is open for reading only`,
    );
  }

  requireOpen(): void {
    if (this.#isClosed) throw this.closedError();
  }

  closedError(): UnderstudyError {
    return new UnderstudyError('store', `Store '${this.places.directory}' is closed`);
  }

  /** One at a time; a writer knows all that is there. */
  async refreshReader(): Promise<void> {
    this.requireOpen();
    if (this.mode === 'read') await this.refresh();
  }

  async refresh(gonePacks: GonePacks = 'make anew'): Promise<void> {
    this.#refreshing ??= this.#refresh(gonePacks).finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  async #refresh(gonePacks: GonePacks): Promise<void> {
    const isAnew = gonePacks === 'make anew' && this.#hasDropped;
    if (isAnew) this.catalogue.clear();
    const found = await refresh(this.files, this.places, this.catalogue, gonePacks);
    this.badFiles = found.bad;
    for (const id of found.gone) this.packs.drop(id); // its room is free when nobody has it open
    const drops = gonePacks === 'drop' && found.gone.length > 0;
    this.#hasDropped = drops || (this.#hasDropped && !isAnew);
  }

  /** Chunks by name, in order. Throws `store`. */
  async readChunks(names: readonly Buffer[]): Promise<Buffer[]> {
    this.requireOpen();
    return await this.packs.read(names, () => this.refreshReader());
  }

  /** The same, checked, as they lie in their packs. */
  async readStored(names: readonly Buffer[]): Promise<StoredChunk[]> {
    this.requireOpen();
    return await this.packs.readStored(names, () => this.refreshReader());
  }

  /** A node of an image's tree. Not to be written to. */
  readonly loadNode = async (name: Buffer): Promise<Buffer> => {
    const known = this.#nodes.get(keyOf(name));
    if (known !== undefined) return known;
    const [node] = await this.readChunks([name]);
    if (node === undefined || !isNode(node)) throw damaged('A node of an image is no node');
    this.rememberNode(name, node);
    return node;
  };

  rememberNode(name: Buffer, node: Buffer): void {
    this.#nodes.set(keyOf(name), node);
    if (this.#nodes.size <= storeLimits.nodesCached) return;
    const oldest = this.#nodes.keys().next();
    if (oldest.done !== true) this.#nodes.delete(oldest.value);
  }

  /** Throws `store` when there is none, or it is damaged. */
  async manifest(id: string): Promise<StoredManifest> {
    this.requireOpen();
    if (this.catalogue.snapshot(id) === undefined) await this.refreshReader();
    return this.manifestNow(id);
  }

  /** The same, of what is known: a writer knows all. Nobody gets a turn meanwhile. */
  manifestNow(id: string): StoredManifest {
    this.requireOpen();
    const row = this.catalogue.snapshot(id);
    if (row !== undefined) return decodeManifest(row.text, id);
    const bad = this.badFiles.find(({ kind, name }) => kind === 'snapshot' && name === id);
    if (bad !== undefined) throw bad.error;
    throw unknownSnapshot(id);
  }

  /** Of a parent: the last one may have been removed. */
  parentNow(id: string): StoredManifest {
    this.requireOpen();
    return this.lastCommitted?.id === id ? this.lastCommitted : this.manifestNow(id);
  }

  /** Of all snapshots that can be read, oldest first. */
  manifests(vm?: string): StoredManifest[] {
    const known = this.catalogue.snapshots(vm).map(({ text, id }) => decodeManifest(text, id));
    return oldestFirst(known);
  }

  /** For a snapshot that is going to be there: above those of all that are. */
  nextSerial(): number {
    this.#lastSerial ??= Math.max(0, ...this.manifests().map(({ serial = 0 }) => serial));
    this.#lastSerial += 1;
    return this.#lastSerial;
  }

  close(): void {
    this.#isClosed = true;
    this.packs.close();
    this.catalogue.close();
  }
}

export function unknownSnapshot(id: string): UnderstudyError {
  return new UnderstudyError('store', `There is no snapshot '${id}'`, {
    hint: 'List the snapshots: `understudy snapshot ls`.',
  });
}
