/**
 * What a node keeps, copied to the store of `copyTo` (src/store/tier): begun when the node's store
 * is opened, and told.
 *
 * Contract
 *  1. Nothing here is waited for by whoever takes snapshots, and nothing of it can fail to them.
 *  2. While it fails it is tried again, less and less often, and is a concern, told once for each
 *     reason.
 *  3. After `finish`, and at the start, what is left is copied, then the other store is free for
 *     others. What the other node of the pair keeps it from, it leaves to the next time.
 *  4. After `close` there is no process of it, but one that hangs in a system call.
 */
import path from 'node:path';
import { errorFrom } from '../../base/error-parts.ts';
import { asError, reasonOf } from '../../base/errors.ts';
import { storeLimits } from '../../store/limits.ts';
import { type CopyProcess, checkPlace, startCopying } from '../../store/tier/copy-process.ts';
import type { CopyMessage, CopyOrder } from '../../store/tier/news.ts';
import { Attempts } from '../attempts.ts';
import type { Concerns } from '../concerns.ts';
import type { Logger } from '../logger.ts';
import type { PairConfig } from '../pair-file/pair-config.ts';
import type { Reporter } from '../report.ts';

export interface CopyingOptions {
  readonly order: CopyOrder;
  /** Directory for the pid file of its process. */
  readonly pidDir: string;
  readonly concerns: Concerns;
  readonly reporter: Reporter;
  readonly log: Logger;
  /** @default storeLimits.copyHangMs */
  readonly hangMs?: number;
}

/** Of a pair file without `copyTo` there is none. `runDir`: the node's run directory. */
export function copyingOf({
  config,
  runDir,
  ...options
}: Omit<CopyingOptions, 'order' | 'pidDir'> & {
  readonly config: PairConfig;
  readonly runDir: string;
}): Copying | undefined {
  const order = orderOf(config);
  return order && new Copying({ ...options, order, pidDir: pidDirOf(runDir) });
}

/** Throws `config` when `copyTo` can never be the place of copies. */
export async function checkCopies(config: PairConfig, runDir: string): Promise<void> {
  const order = orderOf(config);
  if (order !== undefined) await checkPlace(order, pidDirOf(runDir));
}

function orderOf({ pair, self, snapshots }: PairConfig): CopyOrder | undefined {
  if (snapshots?.copyTo === undefined) return undefined;
  const { directory, keep } = snapshots.copyTo;
  const node = { pair, name: self.name };
  return { from: snapshots.store, to: directory, node, ...(keep === undefined ? {} : { keep }) };
}

/** Not among those that a start waits for: what hangs in a system call does not go. */
const pidDirOf = (runDir: string): string => path.join(runDir, 'copying');

/** What concerns call it. */
const about = 'copies of snapshots';
const notCopied = 'snapshots are kept in this store only, and not copied';

export class Copying {
  readonly #options: CopyingOptions;
  readonly #attempts: Attempts;
  readonly #timer: NodeJS.Timeout;
  readonly #hangMs: number;
  #process: CopyProcess | undefined;
  #state: 'idle' | 'copying' | 'finishing' | 'closed' = 'idle';
  #retry: NodeJS.Timeout | undefined;
  /** Of the process: when it said something last, unless it waits. */
  #workingSince: number | undefined;
  #failure: string | undefined;
  #isPeers = false;
  /** The other node of the pair is in the other store. */
  #peersSince: number | undefined;

  constructor(options: CopyingOptions) {
    this.#options = options;
    const tells = { about, concerns: options.concerns };
    this.#attempts = new Attempts({ tells, pauseMsMax: storeLimits.copyRetryMsMax });
    this.#hangMs = options.hangMs ?? storeLimits.copyHangMs;
    this.#timer = setInterval(() => this.#look(), storeLimits.copyProgressMs);
    this.#timer.unref();
  }

  /** The node begins: an earlier life may have left something. */
  catchUp(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'finishing';
    this.#say('finish');
  }

  /** The store is open, or something was added to it. */
  look(): void {
    if (this.#state === 'closed') return;
    const word = this.#state === 'finishing' ? 'goOn' : 'look';
    this.#state = 'copying';
    this.#say(word);
  }

  /** Nothing is added to the store any more, for now. */
  finish(): void {
    if (this.#state !== 'copying') return;
    this.#state = 'finishing';
    this.#say('finish');
  }

  async close(): Promise<void> {
    const isLast = this.#state === 'finishing' && this.#process !== undefined;
    // It is mostly done already.
    for (let left = storeLimits.copyEndMs; isLast && left > 0 && this.#process; left -= pollMs) {
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    this.#state = 'closed';
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    await this.#process?.end();
  }

  #say(word: 'look' | 'goOn' | 'finish'): void {
    if (this.#process === undefined) {
      if (this.#retry === undefined) this.#start();
      return;
    }
    this.#workingSince ??= performance.now();
    this.#process.say(word);
  }

  #start(): void {
    const { order, pidDir } = this.#options;
    this.#retry = undefined;
    this.#failure = undefined;
    this.#isPeers = false;
    this.#workingSince = performance.now();
    try {
      this.#process = startCopying({
        order,
        pidDir,
        onMessage: (message) => this.#take(message),
        onExit: (isExpected) => this.#ended(isExpected),
      });
    } catch (thrown) {
      this.#failed(reasonOf(asError(thrown)));
    }
  }

  #take(message: CopyMessage): void {
    const { log, reporter } = this.#options;
    this.#workingSince = performance.now();
    switch (message.type) {
      case 'checked':
        if (this.#state === 'finishing') this.#process?.say('finish');
        return;
      case 'working':
        return;
      case 'upToDate':
        this.#workingSince = undefined;
        this.#peersSince = undefined;
        this.#attempts.succeeded();
        return;
      case 'copied': {
        const { id, bytes, ms, waiting } = message;
        this.#attempts.succeeded();
        reporter.report({ type: 'snapshotCopied', id, bytes, ms, waiting });
        return;
      }
      case 'lost':
        log.warn({ snapshot: message.id }, 'a snapshot was removed before it was copied');
        reporter.report({ type: 'snapshotNotCopied', id: message.id, reason: 'it was removed' });
        return;
      case 'leftOut': {
        const { what, reason } = message;
        log.warn({ what, reason }, 'it is damaged, and not copied');
        reporter.report({ type: 'snapshotNotCopied', id: what, reason });
        return;
      }
      case 'failed': {
        const error = errorFrom(message.error);
        const { hint } = message.error;
        const reason = hint === undefined ? reasonOf(error) : `${reasonOf(error)}; ${hint}`;
        this.#failure = reason.replace(chanceNames, '$1...$2');
        this.#isPeers = message.isPeers;
        return;
      }
    }
  }

  #ended(isExpected: boolean): void {
    this.#process = undefined;
    this.#workingSince = undefined;
    if (this.#state === 'closed') return;
    if (isExpected) {
      if (this.#state === 'finishing') this.#state = 'idle';
      else this.#start(); // something was added while it ended
      return;
    }
    if (this.#isPeers && this.#state === 'finishing') {
      this.#state = 'idle';
      this.#attempts.succeeded();
      this.#options.log.info({ reason: this.#failure }, 'snapshots are left to be copied later');
      return;
    }
    this.#failed(this.#failure ?? 'its process was killed');
  }

  #failed(reason: string): void {
    // The other node mostly ends what it copies, and lets go.
    const now = performance.now();
    this.#peersSince = this.#isPeers ? (this.#peersSince ?? now) : undefined;
    const mayPass = this.#peersSince !== undefined && now - this.#peersSince < this.#hangMs;
    this.#attempts.failed(mayPass ? undefined : `${notCopied}: ${reason}`);
    const pauseMs = Math.max(storeLimits.copyProgressMs, this.#attempts.pauseMs);
    this.#retry = setTimeout(() => this.#start(), pauseMs);
    this.#retry.unref();
  }

  /** A process that hangs says nothing. */
  #look(): void {
    if (this.#process === undefined || this.#workingSince === undefined) return;
    if (performance.now() - this.#workingSince < this.#hangMs) return;
    const { to } = this.#options.order;
    const seconds = this.#hangMs / 1000;
    this.#attempts.failed(
      `${notCopied}: '${to}' has not answered for ${seconds} s and more. It goes on when it ` +
        'answers; look at its disk, or the server that it is on',
    );
  }
}

const pollMs = 20;

/** Files that have another name at each attempt: it is the same reason all the same. */
const chanceNames = /(\.new-|packs\/)[0-9a-f]+(\.pack)?/g;
