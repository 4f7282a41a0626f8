/**
 * Brings another store up to the one that is followed: pass by pass, what is missing there.
 *
 * Intuition: the newest snapshot is worth the most, so it goes first, and what was kept meanwhile
 * goes before what still waits. An older one that waits may be removed from the source before its
 * turn: that is told, and nothing of it can be done.
 *
 * Contract
 *  1. After a pass the other store has all snapshots of the machine that the source had when it
 *     began, and the log behind them; but for those that its own policy does not want, and those
 *     that were damaged or removed before their turn, which are told.
 *  2. What its policy has removed there is not copied again.
 *  3. Nothing is collected there while a snapshot is copied.
 */
import { asError } from '../../base/errors.ts';
import type { SnapshotStore } from '../../ports/snapshot-store.ts';
import { applyKeep } from '../apply-keep.ts';
import { storeLimits } from '../limits.ts';
import type { StoredManifest } from '../manifest.ts';
import { oldestFirst } from '../order.ts';
import type { StoreParts } from '../parts.ts';
import { chooseRemovals, type Keep } from '../retention.ts';
import { copyLog } from './copy-log.ts';
import { copySnapshot } from './copy-snapshot.ts';
import type { CopyNews } from './news.ts';
import { reading, SourceFailure, type Tiers } from './tiers.ts';

export interface FollowerOptions {
  readonly tiers: Tiers;
  /** The store that `tiers.to` is of. */
  readonly store: SnapshotStore;
  /** The machine. */
  readonly vm: string;
  /** What stays in the other store; `undefined`: all. */
  readonly keep: Keep | undefined;
  readonly tell: (news: CopyNews) => void;
  /** There may be chunks in the other store that nobody needs. */
  readonly owesCollect: boolean;
}

export class Follower {
  readonly #options: FollowerOptions;
  readonly #manifests = new Map<string, StoredManifest>();
  /** Snapshots that wait for their turn. */
  #waiting = new Set<string>();
  /** Removed there to fit the budget: neither these nor older ones are wanted. */
  readonly #overBudget = new Set<string>();
  #toldLeftOut = 0;
  #owesCollect: boolean;
  #owesRetention = true;
  #loggedAt = performance.now();
  #retainedAt = performance.now();

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#owesCollect = options.owesCollect;
  }

  /**
   * `isLast`: what is put off from one pass to the next is done. Throws when the other store fails,
   * or the source as a whole.
   */
  async pass({ isLast = false }: { readonly isLast?: boolean } = {}): Promise<void> {
    const { from, leftOut } = this.#options.tiers;
    for (;;) {
      await reading(() => from.refresh('drop'));
      for (const { kind, name, error } of from.badFiles) {
        if (kind !== 'pack' && !leftOut.has(name)) leftOut.set(name, error);
      }
      const next = this.#next();
      if (next !== undefined) await this.#copy(next);
      // A store that is slow may never have all snapshots: log and policy do not wait for that.
      const isDue = performance.now() - this.#loggedAt > storeLimits.copyLookMs;
      if (next === undefined || isDue) await this.#copyLog();
      await this.#clearUp(next === undefined && isLast);
      if (next === undefined) return;
    }
  }

  async #copyLog(): Promise<void> {
    const { tiers, vm } = this.#options;
    await copyLog(tiers, vm, this.#of(tiers.to));
    this.#tellLeftOut();
    this.#loggedAt = performance.now();
  }

  /** The newest snapshot that is missing and wanted. Tells those that can be had no more. */
  #next(): StoredManifest | undefined {
    const { tiers, tell } = this.#options;
    const there = this.#idsOf(tiers.to);
    const here = this.#idsOf(tiers.from);
    for (const id of this.#waiting) {
      if (!here.has(id) && !there.has(id)) tell({ type: 'lost', id });
    }
    const missing = [...here].filter((id) => !there.has(id) && !tiers.leftOut.has(id));
    if (missing.length === 0) {
      this.#waiting = new Set();
      return undefined;
    }
    this.#forget([here, there]);
    const wanted = this.#wanted(oldestFirst([...this.#of(tiers.to), ...this.#of(tiers.from)]));
    const waiting = wanted.filter(({ id }) => !there.has(id) && !tiers.leftOut.has(id));
    this.#waiting = new Set(waiting.map(({ id }) => id));
    return waiting.at(-1);
  }

  /** Of all snapshots those that the policy of the other store lets stay, as far as it can tell. */
  #wanted(both: readonly StoredManifest[]): StoredManifest[] {
    const { keep } = this.#options;
    const all = [...new Map(both.map((manifest) => [manifest.id, manifest])).values()];
    if (keep === undefined) return all;
    const { budgetBytes: _, ...counts } = keep;
    const unwanted = new Set(chooseRemovals(all, counts));
    const bound = all.findLastIndex(({ id }) => this.#overBudget.has(id));
    return all.filter(
      ({ id, label }, index) => !unwanted.has(id) && (index > bound || label !== undefined),
    );
  }

  async #copy(manifest: StoredManifest): Promise<void> {
    const { tiers, tell } = this.#options;
    const { id } = manifest;
    const begun = performance.now();
    const base = this.#baseOf(manifest);
    try {
      const bytes = await copySnapshot(tiers, id, base);
      this.#owesRetention = true;
      this.#waiting.delete(id);
      const ms = performance.now() - begun;
      tell({ type: 'copied', id, bytes, ms, waiting: this.#waiting.size });
    } catch (thrown) {
      if (!(thrown instanceof SourceFailure)) throw thrown;
      this.#owesCollect = true;
      await reading(() => tiers.from.refresh());
      const here = this.#idsOf(tiers.from);
      // It was removed, or what it was compared with: the next turn tells.
      if (!here.has(id) || (base !== undefined && !here.has(base.id))) return;
      tiers.leftOut.set(id, asError(thrown.cause));
      this.#tellLeftOut();
    }
  }

  /** The nearest one that both stores have. */
  #baseOf(manifest: StoredManifest): StoredManifest | undefined {
    const { tiers } = this.#options;
    const there = this.#idsOf(tiers.to);
    const both = this.#of(tiers.from).filter(({ id }) => there.has(id) || id === manifest.id);
    const order = oldestFirst(both);
    const at = order.findIndex(({ id }) => id === manifest.id);
    return order[at - 1] ?? order[at + 1];
  }

  #tellLeftOut(): void {
    const { tiers, tell } = this.#options;
    for (const [what, error] of [...tiers.leftOut].slice(this.#toldLeftOut)) {
      tell({ type: 'leftOut', what, reason: error.message });
    }
    this.#toldLeftOut = tiers.leftOut.size;
  }

  /** Retention, and what a copy that was given up has left. */
  async #clearUp(isLast: boolean): Promise<void> {
    const { store, vm, keep } = this.#options;
    if (this.#owesCollect) await store.collect();
    this.#owesCollect = false;
    if (keep === undefined || !this.#owesRetention) return;
    if (!isLast && performance.now() - this.#retainedAt < storeLimits.retentionMs) return;
    this.#retainedAt = performance.now();
    const { budgetBytes: _, ...counts } = keep;
    const byCount = new Set(chooseRemovals(await store.list({ vm }), counts));
    for (const id of await applyKeep(store, vm, keep)) {
      if (!byCount.has(id)) this.#overBudget.add(id);
    }
    this.#owesRetention = false;
  }

  #idsOf(parts: StoreParts): Set<string> {
    return new Set(parts.catalogue.snapshotIds(this.#options.vm));
  }

  /** Manifests of the machine in a store. */
  #of(parts: StoreParts): StoredManifest[] {
    return parts.catalogue.snapshotIds(this.#options.vm).map((id) => {
      const known = this.#manifests.get(id) ?? parts.manifestNow(id);
      this.#manifests.set(id, known);
      return known;
    });
  }

  /** Manifests that neither store has any more. */
  #forget(ids: readonly ReadonlySet<string>[]): void {
    for (const id of this.#manifests.keys()) {
      if (!ids.some((set) => set.has(id))) this.#manifests.delete(id);
    }
  }
}
