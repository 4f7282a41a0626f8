/**
 * A snapshot store in a directory, on a local disk or a shared one. Files and formats:
 * docs/snapshots.md.
 *
 *   owners/                 who writes (owner.ts)
 *   packs/ID.pack           chunks (pack.ts)
 *   snapshots/VM/ID.snapshot   manifests (manifest.ts)
 *   logs/VM/RUN/FROM-TO.log    pieces of log (log-piece.ts)
 *   catalogue.sqlite        what is where (catalogue.ts); may be deleted
 *
 * Why nothing is lost, in the order of the steps:
 *  1. Every file is written under a temporary name and flushed before it gets its own.
 *  2. Packs have their names on the disk before the manifest that needs them has.
 *  3. A manifest's name has gone from the disk before `collect` takes what only it needed.
 *  4. A file that has its name is never changed.
 */
import path from 'node:path';
import type {
  Collected,
  Snapshot,
  SnapshotFacts,
  SnapshotFilter,
  SnapshotManifest,
  SnapshotStore,
  SnapshotUsage,
  SnapshotWriter,
  VerifyReport,
} from '../ports/snapshot-store.ts';
import { collect } from './collect.ts';
import { failure, isMissing } from './failure.ts';
import { StoredLog } from './log-archive.ts';
import { checkFacts, publicManifest } from './manifest.ts';
import { type OpenedStore, openParts, type StoreOptions } from './opening.ts';
import { type StoreParts, unknownSnapshot } from './parts.ts';
import { StoredSnapshotWriter } from './snapshot-writer.ts';
import { StoredSnapshot } from './stored-snapshot.ts';
import { usageOf } from './usage.ts';
import { verify } from './verify.ts';

/**
 * Opens a store. Throws `store` when another process writes to it (`StoreInUse`) or there is none
 * to read, `rights` and `resources` when the system refuses.
 */
export async function openStore(options: StoreOptions): Promise<SnapshotStore> {
  return storeOf(await openParts(options));
}

/** The store of these parts. */
export const storeOf = (opened: OpenedStore): SnapshotStore => new DirectoryStore(opened);

class DirectoryStore implements SnapshotStore {
  readonly log: StoredLog;
  readonly #parts: StoreParts;
  readonly #close: () => Promise<void>;
  /** `collect` and `remove`, one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor({ parts, close }: OpenedStore) {
    this.#parts = parts;
    this.#close = close;
    this.log = new StoredLog(parts);
  }

  async begin(facts: SnapshotFacts, parent?: string): Promise<SnapshotWriter> {
    this.#parts.requireWriter('take a snapshot');
    checkFacts(facts);
    // Between finding the parent and pinning what it needs nobody may get a turn.
    const found = parent === undefined ? undefined : this.#parts.parentNow(parent);
    return new StoredSnapshotWriter(this.#parts, facts, found);
  }

  async list(filter: SnapshotFilter = {}): Promise<SnapshotManifest[]> {
    await this.#parts.refreshReader();
    return this.#parts.manifests(filter.vm).map(publicManifest);
  }

  async open(id: string): Promise<Snapshot> {
    return new StoredSnapshot(this.#parts, await this.#parts.manifest(id));
  }

  remove(id: string): Promise<void> {
    return this.#inTurn('remove a snapshot', async () => {
      const { catalogue, files, places, badFiles } = this.#parts;
      const vm = catalogue.snapshot(id)?.vm ?? (await this.#vmOfDamaged(id));
      if (vm === undefined) throw unknownSnapshot(id);
      const file = places.manifest(vm, id);
      try {
        await files.remove(file).catch((thrown: unknown) => {
          if (!isMissing(thrown)) throw thrown; // gone already, but perhaps not from the disk
        });
        await files.syncDirectory(path.dirname(file));
      } catch (thrown) {
        throw failure(`Cannot remove snapshot '${id}'`, thrown);
      }
      catalogue.dropSnapshot(id);
      this.#parts.badFiles = badFiles.filter((bad) => bad.kind !== 'snapshot' || bad.name !== id);
    });
  }

  collect(): Promise<Collected> {
    return this.#inTurn('collect', () => collect(this.#parts));
  }

  async usage(): Promise<SnapshotUsage[]> {
    await this.#parts.refreshReader();
    return await usageOf(this.#parts);
  }

  async verify(): Promise<VerifyReport> {
    await this.#parts.refreshReader();
    return await verify(this.#parts);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      for (const writer of [...this.#parts.writers]) await writer.abort();
      await this.#last;
      await this.log.settled();
      await this.#close();
    })();
    return this.#closing;
  }

  /** A manifest that cannot be read is still somebody's. */
  async #vmOfDamaged(id: string): Promise<string | undefined> {
    const { badFiles, files, places } = this.#parts;
    if (!badFiles.some(({ kind, name }) => kind === 'snapshot' && name === id)) return undefined;
    for (const vm of await files.list(places.snapshots)) {
      const names = await files.list(path.join(places.snapshots, vm));
      if (names.includes(path.basename(places.manifest(vm, id)))) return vm;
    }
    return undefined;
  }

  #inTurn<T>(what: string, run: () => Promise<T>): Promise<T> {
    // `close` waits for what was asked for before it, and for nothing else.
    if (this.#closing !== undefined) return Promise.reject(this.#parts.closedError());
    const turn = this.#last.then(() => {
      this.#parts.requireWriter(what);
      return run();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
