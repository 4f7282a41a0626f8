/**
 * Keeps the log that a backup receives behind its kept cuts, piece by piece.
 *
 * Contract
 *  1. Nothing here waits or throws: what is received is held in memory and written behind it.
 *  2. Log is kept from `begin` on without a gap, until it is `broken`. Then it is told once,
 *     nothing more is kept, and the next `begin` starts anew.
 *  3. A piece that the store did not take is offered again, in order, until too much waits.
 *  4. Nothing is written before `release`: log without a snapshot in front of it is worth nothing.
 */
import { asError, UnderstudyError } from '../../base/errors.ts';
import {
  type Epoch,
  type Icount,
  type LogPosition,
  type Term,
  epoch as toEpoch,
} from '../../base/units.ts';
import type { Cut } from '../../ports/link.ts';
import type { LogArchive, LogPiece, RunName } from '../../ports/snapshot-store.ts';
import { GrowingPiece } from '../../restore/growing-piece.ts';
import { snapshotLimits } from '../../restore/limits.ts';
import { recordingClock } from '../../restore/wall-clock.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import type { Segment } from '../../rrlog/log-tail.ts';

export interface LogKeeperOptions extends RunName {
  readonly layout: Layout;
  readonly term: Term;
  readonly archive: Pick<LogArchive, 'append'>;
  /** The log behind the last kept cut has a gap from here on. */
  readonly onBroken: (error: Error) => void;
  /** The store did not take a piece, which is kept and offered again. */
  readonly onRefused: (error: Error) => void;
  /** Milliseconds since 1970. @default a clock of its own */
  readonly now?: () => number;
}

export class LogKeeper {
  readonly #options: LogKeeperOptions;
  readonly #now: () => number;
  #growing: GrowingPiece | undefined;
  readonly #waiting: { readonly piece: LogPiece; readonly bytes: number }[] = [];
  #waitingBytes = 0;
  #isReleased = false;
  #writing: Promise<void> | undefined;
  readonly #timer: NodeJS.Timeout;
  #epoch: Epoch = toEpoch(0);
  #keptTo: LogPosition | undefined;

  constructor(options: LogKeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? recordingClock();
    this.#timer = setInterval(() => this.#write(), snapshotLimits.logPieceMs);
    this.#timer.unref();
  }

  /** Log is kept now. */
  get isKeeping(): boolean {
    return this.#growing !== undefined;
  }

  /** End of the log that is in the store. */
  get keptTo(): LogPosition | undefined {
    return this.#keptTo;
  }

  /** The last epoch that ended in what was received. */
  get epoch(): Epoch {
    return this.#epoch;
  }

  /** From this cut on, if log is not kept already. */
  begin(position: LogPosition, icount: Icount): void {
    if (this.#growing === undefined) this.#grow(position, icount);
  }

  /** A snapshot in front of the log was begun: it may be written. */
  release(): void {
    this.#isReleased = true;
  }

  received(segment: Segment): void {
    const growing = this.#growing;
    const last = segment.markers.at(-1);
    if (last !== undefined) this.#epoch = last.epoch;
    if (growing === undefined) return;
    if (segment.from !== growing.to) {
      const gap = `Log came from ${segment.from} on, it was kept to ${growing.to}`;
      this.#break(new UnderstudyError('log-format', gap));
      return;
    }
    growing.take(segment, this.#now());
    if (growing.bytes >= snapshotLimits.logPieceBytes) this.#write();
    const waiting = this.#waitingBytes + growing.bytes;
    if (waiting > snapshotLimits.logWaitingBytesMax) {
      this.#break(
        new UnderstudyError('resources', `${waiting} bytes of log wait for the snapshot store`, {
          hint: 'see what its disk is doing, or keep it on a faster one',
        }),
      );
    }
  }

  /** The primary was stopped at the end of what was received, and went on without a cut. */
  resumed(): void {
    this.#growing?.mark('resumed', 0);
  }

  /**
   * The machine was cut at the end of what was received, maybe with a judgement of the clock to
   * take.
   */
  cut({ icount, judgement }: Pick<Cut, 'icount' | 'judgement'>): void {
    this.#growing?.mark('cut', icount, judgement);
  }

  /** Log from here on is not kept: what waits is given up. */
  stop(): void {
    this.#growing = undefined;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }

  /** Writes what is there, once, and ends. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#write();
    await this.#writing;
    this.stop();
  }

  #grow(from: LogPosition, fromIcount: Icount): void {
    const { vm, run, layout, term } = this.#options;
    const start = { from, fromIcount, fromTimeMs: this.#now(), firstEpoch: this.#epoch };
    this.#growing = new GrowingPiece({ vm, run, layout, term }, start);
  }

  #break(error: Error): void {
    this.stop();
    this.#options.onBroken(error);
  }

  /** Ends the piece that grows, and has all that waits written. */
  #write(): void {
    if (!this.#isReleased) return;
    try {
      this.#endPiece();
    } catch (thrown) {
      this.#break(asError(thrown));
      return;
    }
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  #endPiece(): void {
    const growing = this.#growing;
    if (growing === undefined || growing.bytes === 0) return;
    const piece = growing.end(this.#now());
    this.#waiting.push({ piece, bytes: growing.bytes });
    this.#waitingBytes += growing.bytes;
    this.#grow(piece.to, piece.toIcount);
  }

  async #writeAll(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        await this.#options.archive.append(next.piece);
      } catch (thrown) {
        this.#options.onRefused(asError(thrown));
        return; // offered again in a while; if it never succeeds, too much waits
      }
      if (this.#waiting[0] !== next) return; // given up meanwhile
      this.#waiting.shift();
      this.#waitingBytes -= next.bytes;
      this.#keptTo = next.piece.to;
    }
  }
}
