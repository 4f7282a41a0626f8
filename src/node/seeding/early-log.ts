/**
 * The log that arrives before the copy can execute it: spooled, then fed as fast as it is taken,
 * then passed on directly.
 *
 * Contract
 *  1. The copy gets everything in the order of `push`.
 *  2. Until the spool is drained at most `spoolFeedBytes` and one record wait in the copy's memory.
 *  3. `push` throws `resources` when the budget is used up.
 */
import { limits } from '../../base/limits.ts';
import { Spool, type SpoolOptions } from '../../restore/spool.ts';

/** Who executes the log. */
export interface LogTaker {
  readonly pendingBytes: number;
  feed(bytes: Buffer): void;
}

export class EarlyLog {
  readonly budgetBytes: number;
  readonly #spool: Spool;
  #taker: LogTaker | undefined;
  #isDirect = false;

  constructor(options: SpoolOptions) {
    this.budgetBytes = options.budgetBytes;
    this.#spool = Spool.create(options);
  }

  /** Bytes that wait in the spool. */
  get usedBytes(): number {
    return this.#isDirect ? 0 : this.#spool.usedBytes;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return; // a filter may hold all of a segment back
    if (this.#isDirect) this.#taker?.feed(bytes);
    else this.#spool.append(bytes);
  }

  /** From now on the log has a taker. */
  attach(taker: LogTaker): void {
    this.#taker = taker;
    this.pump();
  }

  /** Passes on what the taker has room for. To be called again and again until it is direct. */
  pump(): void {
    const taker = this.#taker;
    if (taker === undefined || this.#isDirect) return;
    this.#feedWhile(() => taker.pendingBytes < limits.spoolFeedBytes);
  }

  /** Passes on all that is here: a takeover executes everything. */
  flush(): void {
    this.#feedWhile(() => true);
  }

  #feedWhile(hasRoom: () => boolean): void {
    const taker = this.#taker;
    if (taker === undefined || this.#isDirect) return;
    while (hasRoom()) {
      const bytes = this.#spool.read();
      if (bytes === undefined) {
        this.#isDirect = true;
        void this.#spool.remove();
        return;
      }
      taker.feed(bytes);
      this.#spool.releaseRead();
    }
  }

  async close(): Promise<void> {
    await this.#spool.remove();
  }
}
