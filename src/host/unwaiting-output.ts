/**
 * Text for a descriptor behind which there may be a full disk, a slow one, a reader that does not
 * read, or nobody any more; nothing here ever waits for it.
 *
 * Intuition: the descriptor is shared with others (a terminal, a pipe of a shell), so it cannot be
 * made non-blocking. A pipe or a terminal is opened anew; a socket can be asked at each call; the
 * disk behind a file can do neither, and is left to a thread of Node.
 *
 * Contract
 *  1. `write` returns at once.
 *  2. What is given is written whole and in order. What was not taken is offered again, less and
 *     less often; beyond `queuedBytesMax` it is dropped and counted, and `dropNotice` of the count
 *     is written in the place of what is missing, as soon as something is taken again.
 *  3. `onTrouble` is told when the descriptor does not take what it is given, and when it does
 *     again: by an error, by dropping, or by `troubleMs` of waiting.
 */
import fs from 'node:fs';
import { reasonOf } from '../base/errors.ts';
import { sendNow } from './libc.ts';
import { hostLimits } from './limits.ts';

export interface UnwaitingOutputOptions {
  /** What is written in the place of so many pieces that were dropped. */
  readonly dropNotice: (dropped: number) => string;
  /** @default hostLimits.outputQueueBytes */
  readonly queuedBytesMax?: number;
}

/**
 * Offers bytes; returns how many were taken, 0 for none now. Throws what the kernel refuses with.
 */
type Offer = (bytes: Buffer) => number | Promise<number>;

export class UnwaitingOutput {
  readonly #options: UnwaitingOutputOptions;
  readonly #queuedBytesMax: number;
  readonly #offer: Offer;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #dropped = 0;
  #isOffering = false;
  #retry: NodeJS.Timeout | undefined;
  #retryMs: number = hostLimits.outputRetryMsMin;
  #refusedSince: number | undefined;
  #onTrouble: (why: string | undefined) => void = () => undefined;
  #trouble: string | undefined;
  readonly #idle: (() => void)[] = [];

  constructor(fd: number, options: UnwaitingOutputOptions) {
    this.#options = options;
    this.#queuedBytesMax = options.queuedBytesMax ?? hostLimits.outputQueueBytes;
    this.#offer = offerOf(fd);
  }

  /**
   * Sets the one listener, which is told of a present trouble at once. `undefined`: what is given
   * is taken again.
   */
  onTrouble(listener: (why: string | undefined) => void): void {
    this.#onTrouble = listener;
    if (this.#trouble !== undefined) listener(this.#trouble);
  }

  write(text: string): void {
    const bytes = Buffer.from(text);
    if (this.#queuedBytes + bytes.length > this.#queuedBytesMax) {
      this.#dropped += 1;
      this.#tellTrouble(notNow);
      return;
    }
    this.#tellDropped();
    this.#push(bytes);
    if (this.#retry === undefined) this.#pump();
  }

  /** Resolves when all was taken, or after `ms`. */
  async flush(ms: number): Promise<void> {
    if (this.#queuedBytes === 0) return;
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
      late = setTimeout(resolve, ms);
    });
    clearTimeout(late);
  }

  #push(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    this.#push(Buffer.from(this.#options.dropNotice(this.#dropped)));
    this.#dropped = 0;
  }

  /** Offers what waits until it is all taken, or nothing is taken. */
  #pump(): void {
    while (!this.#isOffering && this.#queue.length > 0) {
      const bytes = this.#batch();
      try {
        const taken = this.#offer(bytes);
        if (typeof taken !== 'number') {
          this.#await(taken);
          return;
        }
        if (!this.#took(taken)) return;
      } catch (thrown) {
        this.#refused(reasonOf(thrown));
        return;
      }
    }
  }

  #await(taking: Promise<number>): void {
    this.#isOffering = true;
    taking.then(
      (taken) => {
        this.#isOffering = false;
        if (this.#took(taken)) this.#pump();
      },
      (thrown: unknown) => {
        this.#isOffering = false;
        this.#refused(reasonOf(thrown));
      },
    );
  }

  /** What is offered at once: the first of what waits. */
  #batch(): Buffer {
    let bytes = 0;
    const count = this.#queue.findIndex((piece) => {
      bytes += piece.length;
      return bytes >= hostLimits.outputBatchBytes;
    });
    if (count !== 0 && this.#queue.length > 1) {
      const pieces = this.#queue.splice(0, count < 0 ? this.#queue.length : count + 1);
      this.#queue.unshift(Buffer.concat(pieces));
    }
    return this.#queue[0] as Buffer;
  }

  /** False: nothing was taken, and it is offered again later. */
  #took(bytes: number): boolean {
    if (bytes === 0) {
      this.#refused(notNow);
      return false;
    }
    const rest = (this.#queue[0] as Buffer).subarray(bytes);
    if (rest.length > 0) this.#queue[0] = rest;
    else this.#queue.shift();
    this.#queuedBytes -= bytes;
    this.#retryMs = hostLimits.outputRetryMsMin;
    if (this.#queue.length === 0) this.#tellDropped();
    if (this.#queue.length === 0) this.#emptied();
    return true;
  }

  #emptied(): void {
    this.#refusedSince = undefined;
    for (const done of this.#idle.splice(0)) done();
    if (this.#trouble === undefined) return;
    this.#trouble = undefined;
    this.#onTrouble(undefined);
  }

  #refused(why: string): void {
    const now = performance.now();
    this.#refusedSince ??= now;
    const isError = why !== notNow;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#pump();
    }, this.#retryMs).unref();
    this.#retryMs = Math.min(this.#retryMs * 2, hostLimits.outputRetryMsMax);
    if (isError || now - this.#refusedSince >= hostLimits.outputTroubleMs) this.#tellTrouble(why);
  }

  #tellTrouble(why: string): void {
    if (this.#trouble !== undefined) return;
    this.#trouble = why;
    this.#onTrouble(why);
  }
}

const notNow = 'nobody takes it';

function offerOf(fd: number): Offer {
  const stat = fs.fstatSync(fd);
  if (stat.isSocket()) return (bytes) => sendNow(fd, bytes);
  const own = stat.isFIFO() || stat.isCharacterDevice() ? openAnew(fd) : undefined;
  if (own !== undefined) return (bytes) => writeNow(own, bytes);
  return (bytes) =>
    new Promise((resolve, reject) => {
      fs.write(fd, bytes, (error, taken) => (error === null ? resolve(taken) : reject(error)));
    });
}

/** Not possible for what belongs to another user. */
function openAnew(fd: number): number | undefined {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}

function writeNow(fd: number, bytes: Buffer): number {
  try {
    return fs.writeSync(fd, bytes);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw thrown;
  }
}
