/**
 * Copies what a node keeps to another store, for as long as it is let: looks, copies, waits.
 *
 * Intuition: it is the one writer of the other store, and one of any number of readers of the
 * node's. When anything fails it ends, and says why: whoever starts it again has one that looks at
 * everything anew, and goes on with what is missing.
 */
import { UnderstudyError } from '../../base/errors.ts';
import { failure } from '../failure.ts';
import { type Files, realFiles } from '../files.ts';
import { storeLimits } from '../limits.ts';
import { type OpenedStore, openParts } from '../opening.ts';
import { storeOf } from '../store.ts';
import { Follower } from './follower.ts';
import type { CopyMessage, CopyOrder, CopyWord } from './news.ts';
import { requirePlace } from './place.ts';
import { SourceFailure } from './tiers.ts';
import { watchedFiles } from './watched-files.ts';

export interface CopierOptions {
  readonly order: CopyOrder;
  readonly tell: (message: CopyMessage) => void;
  /** @default realFiles */
  readonly files?: Files;
}

export class Copier {
  readonly #options: CopierOptions;
  readonly #stopping = new AbortController();
  #isFinishing = false;
  #isAsked = false;
  #wake: (() => void) | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(options: CopierOptions) {
    this.#options = options;
  }

  say(word: CopyWord): void {
    this.#isFinishing = word === 'finish';
    this.#isAsked = true;
    this.#wake?.();
  }

  /** Ends as soon as it can, with what is copied by then. */
  stop(): void {
    this.#stopping.abort();
    this.#wake?.();
  }

  /**
   * Resolves when it was told to finish, and all is copied, or to stop. Throws what `requirePlace`
   * does, `StoreInUse`, and what either store could not do.
   */
  async run(): Promise<void> {
    const { order, tell } = this.#options;
    await requirePlace(order.from, order.to);
    tell({ type: 'checked' });
    const files = watchedFiles(this.#options.files ?? realFiles, () => this.#stepped());
    const from = await openParts({ directory: order.from, mode: 'read', files });
    try {
      const to = await openParts({ directory: order.to, files, copier: order.node });
      try {
        await this.#follow(from, to);
      } catch (thrown) {
        await to.abandon().catch(() => undefined);
        if (this.#stopping.signal.aborted) return;
        if (thrown instanceof SourceFailure) {
          throw failure(`Cannot read store '${order.from}' to copy it`, thrown.cause);
        }
        throw failure(`Cannot copy snapshots to '${order.to}'`, thrown);
      }
      await to.close();
    } finally {
      await from.close();
    }
  }

  async #follow(from: OpenedStore, to: OpenedStore): Promise<void> {
    const { order, tell } = this.#options;
    const { signal } = this.#stopping;
    refuseUnreadable(to, order.to);
    const follower = new Follower({
      tiers: { from: from.parts, to: to.parts, leftOut: new Map(), signal },
      store: storeOf(to),
      vm: order.node.pair,
      keep: order.keep,
      owesCollect: to.isAfterCrash,
      tell,
    });
    while (!signal.aborted) {
      // What is said from here on is for the next pass.
      this.#isAsked = false;
      const isLast = this.#isFinishing;
      const begun = performance.now();
      await follower.pass({ isLast });
      tell({ type: 'upToDate' });
      if (isLast && this.#isFinishing) return;
      await this.#pause(performance.now() - begun);
    }
  }

  async #pause(passMs: number): Promise<void> {
    if (this.#isAsked || this.#stopping.signal.aborted) return;
    const { copyLookMs, copyLookMsMax, copyLookShare } = storeLimits;
    const ms = Math.min(copyLookMsMax, Math.max(copyLookMs, passMs / copyLookShare));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #stepped(): void {
    const now = performance.now();
    if (now - this.#toldAt < storeLimits.copyProgressMs) return;
    this.#toldAt = now;
    this.#options.tell({ type: 'working' });
  }
}

/** Nothing is collected beside a manifest that cannot be read: the other store would only grow. */
function refuseUnreadable({ parts }: OpenedStore, directory: string): void {
  const bad = parts.badFiles.find(({ kind }) => kind === 'snapshot');
  if (bad === undefined) return;
  throw new UnderstudyError('store', `'${directory}' has a snapshot that cannot be read`, {
    cause: bad.error,
    hint: `remove it: understudy snapshot rm ${bad.name} --store ${directory}`,
  });
}
