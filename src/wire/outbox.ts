/**
 * The sending half of a link: what leaves next.
 *
 * Intuition: the pipe is kept almost empty, so that the choice of what goes next is made as late as
 * possible. Three lanes:
 *   urgent   credit and heartbeats: at once, whatever waits
 *   ordered  log, acks and control, in the order of `push`; a log frame waits for log credit
 *   bulk     one piece at a time, only when nothing ordered could go, and with bulk credit
 *
 * Invariants
 *  1. Sent minus granted never exceeds zero, for log and for bulk, in whole frames.
 *  2. A bulk frame leaves after every control frame that was pushed before it.
 *  3. Every queue is bounded; past its bound `overflow` is called and nothing more leaves.
 */
import { UnderstudyError } from '../base/errors.ts';
import { Fifo } from './fifo.ts';
import { wireLimits } from './limits.ts';
import type { FramePipe } from './pipe.ts';

export type OrderedKind = 'log' | 'ack' | 'control';

interface OrderedEntry {
  readonly kind: OrderedKind;
  readonly frame: Buffer;
}

interface BulkEntry {
  readonly frame: Buffer;
  /** Control frames pushed before it: as many must have left. */
  readonly afterControls: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: UnderstudyError) => void;
}

/** One direction's credit of one sort, in bytes since the link began. */
class Credit {
  sent = 0;
  granted = 0;
  #first = 0;

  grant(total: number): void {
    if (this.granted === 0) this.#first = total;
    if (total > this.granted) this.granted = total;
  }

  /**
   * What the peer has not said to have taken: its window is what it granted first. A peer that
   * grants more than it took says nothing that could be below nothing.
   */
  get inFlight(): number {
    return Math.max(0, this.sent - (this.granted - this.#first));
  }

  allows(bytes: number): boolean {
    return this.sent + bytes <= this.granted;
  }
}

export class Outbox {
  readonly #pipe: FramePipe;
  readonly #overflow: (what: string) => void;
  readonly #log = new Credit();
  readonly #bulk = new Credit();
  readonly #ordered = new Fifo<OrderedEntry>();
  readonly #pieces = new Fifo<BulkEntry>();
  readonly #waiters = new Fifo<Waiter>();
  #closed: UnderstudyError | undefined;
  #controlsPushed = 0;
  #controlsSent = 0;
  sentBytes = 0;
  logQueuedBytes = 0;
  bulkQueuedBytes = 0;
  #otherQueuedBytes = 0;

  constructor(pipe: FramePipe, overflow: (what: string) => void) {
    this.#pipe = pipe;
    this.#overflow = overflow;
  }

  get logInFlightBytes(): number {
    return this.#log.inFlight;
  }

  get bulkInFlightBytes(): number {
    return this.#bulk.inFlight;
  }

  pushUrgent(frame: Buffer): void {
    if (this.#closed !== undefined) return;
    if (this.#pipe.bufferedBytes > wireLimits.pipeBytes + wireLimits.controlQueueBytes) {
      this.#overflow(`${this.#pipe.bufferedBytes} bytes wait in the connection`);
      return;
    }
    this.#write(frame);
  }

  pushOrdered(kind: OrderedKind, frame: Buffer): void {
    if (this.#closed !== undefined) return;
    if (kind === 'control') this.#controlsPushed += 1;
    const entry = { kind, frame };
    if (this.#ordered.length === 0 && this.#mayLeave(entry)) {
      this.#leave(entry);
      return;
    }
    this.#enqueue(entry);
  }

  /** Throws when `ready` was not waited for. */
  pushBulk(frame: Buffer): void {
    if (this.#closed !== undefined) return;
    if (this.bulkQueuedBytes + frame.length > wireLimits.bulkQueueHardBytes) {
      throw new UnderstudyError(
        'link',
        `Cannot send a blob as ${this.bulkQueuedBytes} bytes of blobs wait already, ` +
          `at most ${wireLimits.bulkQueueHardBytes} may: 'ready()' was not waited for`,
      );
    }
    this.#pieces.push({ frame, afterControls: this.#controlsPushed });
    this.bulkQueuedBytes += frame.length;
    this.pump();
  }

  async ready(): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#waiters.length === 0 && this.#bulkHasRoom()) return;
    await new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** The peer's totals. Old and repeated ones change nothing. */
  granted(log: number, bulk: number): void {
    this.#log.grant(log);
    this.#bulk.grant(bulk);
    this.pump();
  }

  /** Lets everything leave that may. Called whenever something may have changed. */
  pump(): void {
    if (this.#closed !== undefined) return;
    for (let entry = this.#ordered.first; entry !== undefined; entry = this.#ordered.first) {
      if (!this.#mayLeave(entry)) break;
      this.#dequeue(entry);
    }
    for (let piece = this.#pieces.first; piece !== undefined; piece = this.#pieces.first) {
      if (!this.#pieceMayLeave(piece)) break;
      this.#pieces.shift();
      this.bulkQueuedBytes -= piece.frame.length;
      this.#bulk.sent += piece.frame.length;
      this.#write(piece.frame);
    }
    this.#wakeWaiters();
  }

  /**
   * Passes on what is ordered and has credit, whatever the pipe still holds; nothing after that.
   */
  flushAndClose(error: UnderstudyError): void {
    if (this.#closed !== undefined) return;
    for (let entry = this.#ordered.first; entry !== undefined; entry = this.#ordered.first) {
      if (entry.kind === 'log' && !this.#log.allows(entry.frame.length)) break;
      this.#dequeue(entry);
    }
    this.close(error);
  }

  /** Drops everything that waits. `ready` rejects with the error from now on. */
  close(error: UnderstudyError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#ordered.clear();
    this.#pieces.clear();
    this.logQueuedBytes = 0;
    this.bulkQueuedBytes = 0;
    this.#otherQueuedBytes = 0;
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      waiter.reject(error);
    }
  }

  #mayLeave(entry: OrderedEntry): boolean {
    if (entry.kind === 'log' && !this.#log.allows(entry.frame.length)) return false;
    return this.#pipe.bufferedBytes < wireLimits.pipeBytes;
  }

  #pieceMayLeave(piece: BulkEntry): boolean {
    return (
      piece.afterControls <= this.#controlsSent &&
      this.#pipe.bufferedBytes < wireLimits.pipeBulkBytes &&
      this.#bulk.allows(piece.frame.length)
    );
  }

  #enqueue(entry: OrderedEntry): void {
    const last = this.#ordered.last;
    if (entry.kind === 'ack' && last?.kind === 'ack') {
      // Acks are cumulative and of one size: the newer one says it all.
      this.#ordered.replaceLast(entry);
      return;
    }
    this.#ordered.push(entry);
    if (entry.kind === 'log') {
      this.logQueuedBytes += entry.frame.length;
      if (this.logQueuedBytes > wireLimits.logQueueBytes) {
        this.#overflow(`${this.logQueuedBytes} bytes of log wait for the peer`);
      }
    } else {
      this.#otherQueuedBytes += entry.frame.length;
      if (this.#otherQueuedBytes > wireLimits.controlQueueBytes) {
        this.#overflow(`${this.#otherQueuedBytes} bytes of control messages wait for the peer`);
      }
    }
  }

  #dequeue(entry: OrderedEntry): void {
    this.#ordered.shift();
    if (entry.kind === 'log') this.logQueuedBytes -= entry.frame.length;
    else this.#otherQueuedBytes -= entry.frame.length;
    this.#leave(entry);
  }

  #leave(entry: OrderedEntry): void {
    if (entry.kind === 'log') this.#log.sent += entry.frame.length;
    else if (entry.kind === 'control') this.#controlsSent += 1;
    this.#write(entry.frame);
  }

  #write(frame: Buffer): void {
    this.sentBytes += frame.length;
    this.#pipe.send(frame);
  }

  #bulkHasRoom(): boolean {
    return this.bulkQueuedBytes < wireLimits.bulkQueueBytes;
  }

  /** A few at a time: each may send one piece, and all of them fit below the hard bound. */
  #wakeWaiters(): void {
    for (let woken = 0; woken < 8 && this.#waiters.length > 0 && this.#bulkHasRoom(); woken += 1) {
      this.#waiters.shift()?.resolve();
    }
  }
}
