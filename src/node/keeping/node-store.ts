/**
 * The store of the pair file while a copy of this node writes to it, and its changes that others
 * ask for.
 *
 * Intuition: one process writes to a store. So whoever finds this node in it, and wants a snapshot
 * removed, asks this node (control socket), which does it beside its own snapshots. The store
 * itself sees to it that nothing is taken that a snapshot needs, one that is being taken included.
 */
import fs from 'node:fs';
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import { withResolvers } from '../../base/with-resolvers.ts';
import type { Collected, WritableStore } from '../../ports/snapshot-store.ts';
import { Places } from '../../store/file-names.ts';
import type { WritingNode } from '../../store/owner.ts';
import type { Keep } from '../../store/retention.ts';
import { openStoreInThread } from '../../store/thread/store-client.ts';
import type { Logger } from '../logger.ts';
import type { PairConfig } from '../pair-file/pair-config.ts';
import type { RunDir } from '../run-dir.ts';
import { type Copying, type CopyingOptions, copyingOf } from './copying.ts';
import { retention } from './retention.ts';

export interface NodeStoreOptions {
  readonly directory: string;
  /** This node, as others find it in the store. */
  readonly node: WritingNode;
  readonly keep: Keep | undefined;
  /** What copies it to another store, if there is one. */
  readonly copying?: Copying | undefined;
  readonly log: Logger;
}

export class NodeStore {
  readonly #options: NodeStoreOptions;
  readonly #retain: (store: WritableStore) => Promise<void>;
  /** As it was opened last; it may be closed since. */
  #store: WritableStore | undefined;
  /** One copy of this node writes at a time: the next one waits for what the last one stores. */
  #isFree: Promise<void> = Promise.resolve();
  readonly #free = new WeakMap<WritableStore, () => void>();
  /**
   * The last snapshot may have been removed: its room comes back behind the next one, which is
   * built on it.
   */
  #owesCollect = false;

  constructor(options: NodeStoreOptions) {
    this.#options = options;
    this.#retain = retention(options.node.pair, options.keep);
  }

  /** Of the pair file, if that has one. */
  static ofPair({
    config,
    runDir,
    ...told
  }: Pick<CopyingOptions, 'concerns' | 'reporter' | 'log'> & {
    readonly config: PairConfig;
    readonly runDir: Pick<RunDir, 'path' | 'control'>;
  }): NodeStore | undefined {
    const { snapshots, pair, self } = config;
    if (snapshots === undefined) return undefined;
    const node = { pair, name: self.name, control: runDir.control };
    const copying = copyingOf({ config, runDir: runDir.path, ...told });
    const { store: directory, keep } = snapshots;
    return new NodeStore({ directory, keep, node, copying, log: told.log });
  }

  /** The node begins. */
  begin(): void {
    const { directory, copying } = this.#options;
    // One that was never used has nothing to copy.
    if (fs.existsSync(new Places(directory).packs)) copying?.catchUp();
  }

  /**
   * Opens it to write, once it was closed for the copy before. Throws `store` when another process
   * has it.
   */
  async open(): Promise<WritableStore> {
    const before = this.#isFree;
    const { promise, resolve } = withResolvers();
    this.#isFree = promise;
    await before;
    try {
      const { directory, node } = this.#options;
      const store = await openStoreInThread({ directory, node });
      this.#free.set(store, resolve);
      this.#store = store;
      this.#options.copying?.look();
      return store;
    } catch (thrown) {
      resolve();
      throw thrown;
    }
  }

  /** What `open` gave is not used any more. */
  async close(store: WritableStore): Promise<void> {
    try {
      await store.close();
    } finally {
      this.#options.copying?.finish();
      this.#free.get(store)?.();
    }
  }

  /** The node ends. What is copied goes on for a moment, and no longer. */
  async end(): Promise<void> {
    await this.#options.copying?.close();
  }

  /** Called after each snapshot that was kept. It may throw. */
  async afterKept(store: WritableStore): Promise<void> {
    this.#options.copying?.look();
    await this.#retain(store);
    if (!this.#owesCollect) return;
    this.#owesCollect = false;
    // Not awaited: the next snapshot need not wait for it.
    store.collect().catch((thrown: unknown) => {
      this.#options.log.warn({ reason: reasonOf(thrown) }, 'the store was not collected');
    });
  }

  /** Throws `store` when there is none with this id, or the store is not open here. */
  async remove(id: string): Promise<void> {
    await this.#opened().remove(id);
    this.#owesCollect = true;
    this.#options.log.info({ snapshot: id }, 'a snapshot was removed on request');
  }

  /** Throws `store` when it cannot, or the store is not open here. */
  async collect(): Promise<Collected> {
    return await this.#opened().collect();
  }

  #opened(): WritableStore {
    if (this.#store !== undefined) return this.#store;
    const { directory, node } = this.#options;
    throw new UnderstudyError('store', `Node '${node.name}' does not write to '${directory}' now`, {
      hint: 'use `understudy snapshot`: it asks a node only if that has the store open',
    });
  }
}
