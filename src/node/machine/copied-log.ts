/**
 * The log of a copy from its seed's cut on: checked, kept on the disk where that was promised, and
 * fed to whoever executes it.
 *
 * Contract
 *  1. `take` throws for log that does not go on where the last one ended, before anything of it is
 *     fed.
 *  2. What was fed is executed in the order of `take`, `cut` and `resumed`.
 *  3. Log that cannot be kept is told once by `onLost`; nothing is fed of it.
 */
import { asError } from '../../base/errors.ts';
import type { Icount, LogPosition, Term } from '../../base/units.ts';
import { encodeBehindMarker } from '../../hypervisor/replay/pad-frames.ts';
import { PauseFilter } from '../../hypervisor/replay/pause-filter.ts';
import { receivedLogTail } from '../../hypervisor/replay/received-log.ts';
import type { Cut, Hello, LogFrame, SeedOffer } from '../../ports/link.ts';
import { DurableLog } from '../../restore/durable-log.ts';
import type { SpoolOptions } from '../../restore/spool.ts';
import { RequestTracker } from '../../rrlog/inflight.ts';
import type { Layout } from '../../rrlog/layouts.ts';
import type { LogTail, Segment } from '../../rrlog/log-tail.ts';
import { SegmentUnpacker } from '../../rrlog/packer.ts';
import { EarlyLog, type LogTaker } from '../seeding/early-log.ts';

export interface CopiedLogOptions {
  readonly layout: Layout;
  readonly offer: SeedOffer;
  /** The primary, and the term that it speaks in. */
  readonly primary: Pick<Hello, 'pair' | 'vmFingerprint'>;
  readonly term: Term;
  /** Where log waits that cannot be executed yet. */
  readonly spool: SpoolOptions;
  /** Where log is kept that is acknowledged; `undefined`: in memory is enough. */
  readonly durableLog: SpoolOptions | undefined;
  /** Log is on the disk up to here. */
  readonly onDurable: (to: LogPosition) => void;
  readonly onLost: (error: Error) => void;
}

export class CopiedLog {
  readonly #options: CopiedLogOptions;
  readonly #requests: RequestTracker;
  readonly #tail: LogTail;
  readonly #unpacker: SegmentUnpacker;
  readonly #pauses: PauseFilter;
  readonly #behindMarker: Buffer;
  readonly #durable: DurableLog | undefined;
  readonly #early: EarlyLog;
  #isLost = false;
  /** Nothing came behind the last marker. */
  #endsWithMarker = false;

  constructor(options: CopiedLogOptions) {
    const { layout, offer, spool } = options;
    this.#options = options;
    this.#requests = new RequestTracker(offer.blockRequestId ?? 0);
    const start = { position: offer.logPosition, icount: offer.icount };
    this.#tail = receivedLogTail(layout, start, this.#requests);
    this.#unpacker = new SegmentUnpacker(layout);
    this.#pauses = new PauseFilter(layout);
    this.#behindMarker = encodeBehindMarker(layout);
    this.#durable = this.#beginDurable();
    this.#early = new EarlyLog(spool);
  }

  get icount(): Icount {
    return this.#tail.icount;
  }

  get endsWithMarker(): boolean {
    return this.#endsWithMarker;
  }

  /** What waits for the copy to be there. */
  get waiting(): { readonly usedBytes: number; readonly budgetBytes: number } {
    const { usedBytes, budgetBytes } = this.#early;
    return { usedBytes, budgetBytes };
  }

  /** Disk requests that the log leaves open. */
  uncompleted(): Iterable<number> {
    return this.#requests.uncompleted();
  }

  /** The segment that came; `undefined` when it cannot be kept. */
  take(frame: LogFrame): Segment | undefined {
    const bytes = this.#unpacker.unpack(frame.payload);
    const segment = this.#tail.pushSegment({ ...frame, bytes });
    this.#endsWithMarker = segment.markers.at(-1)?.end === segment.to;
    const events = this.#endsWithMarker
      ? Buffer.concat([segment.bytes, this.#behindMarker])
      : segment.bytes;
    this.#durable?.push(frame);
    if (this.#isLost) return undefined;
    this.#feed(this.#pauses.push(events));
    return segment;
  }

  /**
   * The machine was cut here. Returns the cut, with its judgement of the clock when it is to be
   * taken.
   */
  cut({ judgement, ...facts }: Cut): Cut {
    const isJudged = this.#pauses.takeRearmed() && judgement !== undefined;
    const cut = { ...facts, ...(isJudged ? { judgement } : {}) };
    this.#durable?.cut(cut);
    this.#feed(this.#pauses.flush());
    return cut;
  }

  /** The machine was stopped here, and went on without a cut. */
  resumed(): void {
    this.#durable?.resumed();
    this.#feed(this.#pauses.resumedHere());
  }

  /** From now on the log has a taker. */
  attach(taker: LogTaker): void {
    this.#early.attach(taker);
  }

  /** Passes on what the taker has room for. */
  pump(): void {
    this.#early.pump();
  }

  /** Passes on all that is here: a takeover executes everything. */
  flush(): void {
    this.#feed(this.#pauses.flush());
    this.#early.flush();
  }

  async close(): Promise<void> {
    this.#durable?.close().catch(() => undefined);
    await this.#early.close();
  }

  #beginDurable(): DurableLog | undefined {
    const { durableLog, layout, primary, term, offer, onDurable } = this.#options;
    if (durableLog === undefined) return undefined;
    const { pair, vmFingerprint } = primary;
    const { seedId, logPosition: position, icount, blockRequestId = 0 } = offer;
    const base = { pair, vmFingerprint, term, seedId, position, icount, blockRequestId };
    const onFailure = (error: Error): void => this.#lose(error);
    try {
      return new DurableLog(durableLog, { ...base, layout: layout.qemu }, { onDurable, onFailure });
    } catch (thrown) {
      this.#lose(asError(thrown));
      return undefined;
    }
  }

  #feed(bytes: Buffer): void {
    try {
      this.#early.push(bytes);
    } catch (thrown) {
      this.#lose(asError(thrown));
    }
  }

  #lose(error: Error): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#options.onLost(error);
  }
}
