/**
 * The durable log: what a backup with `ack: durable` acknowledges, on its disk. All log since the
 * cut of its seed, so that whoever has the state of that cut can execute it to any later point.
 *
 * The file is a spool (spool.ts: header, records with checksums). Its first record is JSON and says
 * whose log follows, and the version of this format: 3. Each further record is a log frame as it
 * arrived, or a mark at the end of what arrived before it:
 *
 *      0      1        9        17       25       33
 *      +------+--------+--------+--------+--------+- - - - -
 *      | 0    | from   | to     | icount | time   | payload    u8, then big-endian u64; time: when
 *      +------+--------+--------+--------+--------+- - - - -   it arrived, milliseconds since 1970
 *      +------+----------+--------+- - - - - -
 *      | kind | position | icount | judgement    kind: 1 resumed, 2 cut (log-payload.ts); icount of
 *      +------+----------+--------+- - - - - -  the cut, 0 otherwise; judgement: 26 bytes, of a cut
 *                                               at which the copy was to take it
 *
 * A payload is packed (packer.ts), and must be unpacked in order, from the first on. Version 1 had
 * no marks, so nothing could be executed by it; it is refused. Version 2 had no judgements, and is
 * read.
 *
 * Contract
 *  1. `onDurable(to)` is called when all log up to `to` is on the disk: flushed, not only written.
 *  2. One flush at a time; all that arrived meanwhile goes with the next one.
 *  3. The first failure is told once, and is the end: a disk that failed a flush may call the next
 *     one a success although it dropped what the first one was about.
 *  4. The file is begun anew at each seed and never shortened at its front: log without its cut is
 *     worth nothing. So it is bounded by its budget, and what is beyond it is a failure.
 *  5. It stays when the node ends.
 *  6. A mark is flushed with the log behind it: without any it says nothing.
 */
import { z } from 'zod';
import { asError, UnderstudyError } from '../base/errors.ts';
import { qemuReleases } from '../base/qemu-releases.ts';
import { type Icount, type LogPosition, logPosition, icount as toIcount } from '../base/units.ts';
import { judgementBytes } from '../hypervisor/device-state/device-state.ts';
import type { Cut, LogFrame } from '../ports/link.ts';
import { Spool, type SpoolOptions } from './spool.ts';
import { recordingClock } from './wall-clock.ts';

const version = 3;
const versionsRead = [2, version] as const;
const kinds = ['frame', 'resumed', 'cut'] as const;
const frameHeadBytes = 33;
const markBytes = 17;

const baseSchema = z.strictObject({
  understudy: z.literal('durable-log'),
  version: z.literal(versionsRead),
  pair: z.string(),
  vmFingerprint: z.string(),
  /** QEMU release whose event kinds the log has. */
  layout: z.enum(qemuReleases),
  term: z.number().int(),
  seedId: z.string(),
  /** Of the cut: the log goes on from here. */
  position: z.number().int().transform(logPosition),
  icount: z.number().int().transform(toIcount),
  blockRequestId: z.number().int(),
});

/** Whose log it is, and where it begins. */
export type DurableLogBase = Omit<z.infer<typeof baseSchema>, 'understudy' | 'version'>;

type Frame = Pick<LogFrame, 'from' | 'to' | 'icount' | 'payload'>;

/** One log frame, its payload still packed. */
export interface DurableFrame extends Frame {
  readonly kind: 'frame';
  /** When it arrived, milliseconds since 1970. */
  readonly receivedAtMs: number;
}

/** What happened to the primary at a place of the log, beside what it executed. */
export interface DurableMark {
  readonly kind: 'resumed' | 'cut';
  readonly position: LogPosition;
  /** Of a cut; 0 otherwise. */
  readonly icount: Icount;
  /** Of the clock, at a cut where the copy takes it. */
  readonly judgement?: string;
}

export type DurableRecord = DurableFrame | DurableMark;

export interface DurableLogEvents {
  readonly onDurable: (to: LogPosition) => void;
  readonly onFailure: (error: Error) => void;
  /** Milliseconds since 1970. @default the clock on the wall */
  readonly now?: () => number;
}

export class DurableLog {
  readonly #spool: Spool;
  readonly #events: DurableLogEvents;
  readonly #now: () => number;
  #writtenTo: LogPosition;
  #durableTo: LogPosition;
  #isFlushing = false;
  #isOver = false;

  /** Begins the file anew; what an earlier seed left is gone. Throws `resources`. */
  constructor(options: SpoolOptions, base: DurableLogBase, events: DurableLogEvents) {
    this.#spool = Spool.create(options);
    this.#events = events;
    this.#now = events.now ?? recordingClock();
    this.#writtenTo = base.position;
    this.#durableTo = base.position;
    const head = { understudy: 'durable-log', version, ...base };
    this.#spool.append(Buffer.from(JSON.stringify(head)));
  }

  /** Log arrived. */
  push(frame: Frame): void {
    if (!this.#append({ ...frame, kind: 'frame', receivedAtMs: this.#now() })) return;
    this.#writtenTo = frame.to;
    if (!this.#isFlushing) void this.#flush();
  }

  /** The primary was stopped at the end of what arrived, and went on without a cut. */
  resumed(): void {
    this.#append({ kind: 'resumed', position: this.#writtenTo, icount: toIcount(0) });
  }

  /**
   * The machine was cut at the end of what arrived, maybe with a judgement of the clock to take.
   */
  cut({ icount, judgement }: Pick<Cut, 'icount' | 'judgement'>): void {
    const mark = { kind: 'cut', position: this.#writtenTo, icount } as const;
    this.#append(judgement === undefined ? mark : { ...mark, judgement });
  }

  /** Returns whether it was written. */
  #append(record: DurableRecord): boolean {
    if (this.#isOver) return false;
    try {
      this.#spool.append(encodeRecord(record));
      return true;
    } catch (thrown) {
      this.#fail(asError(thrown));
      return false;
    }
  }

  async #flush(): Promise<void> {
    this.#isFlushing = true;
    while (!this.#isOver && this.#durableTo < this.#writtenTo) {
      const to = this.#writtenTo;
      try {
        await this.#spool.sync();
      } catch (thrown) {
        this.#fail(asError(thrown));
      }
      if (this.#isOver) return;
      this.#durableTo = to;
      this.#events.onDurable(to);
    }
    this.#isFlushing = false;
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const message = 'Cannot make log durable';
    this.#events.onFailure(new UnderstudyError('resources', message, { cause: error }));
  }

  /** Nothing is told any more. The file stays. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#spool.close();
  }
}

/**
 * Whose log a file is, by its beginning alone. Throws `resources`, and `log-format` when it is no
 * durable log.
 */
export function readDurableLogBase(file: string): DurableLogBase {
  return decodeBase(Spool.first(file), file);
}

function decodeBase(record: Buffer | undefined, file: string): DurableLogBase {
  try {
    const {
      understudy: _,
      version: __,
      ...base
    } = baseSchema.parse(JSON.parse(record?.toString() ?? ''));
    return base;
  } catch (thrown) {
    throw new UnderstudyError(
      'log-format',
      `'${file}' is no durable log of version ${versionsRead.join(' or ')}`,
      { cause: asError(thrown), hint: 'nothing need be done: it is begun anew at the next seed' },
    );
  }
}

/** Reads what a node left, also one that died: the longest run of whole records. */
export class DurableLogReader {
  readonly base: DurableLogBase;
  readonly #spool: Spool;
  readonly #file: string;
  #position: LogPosition;

  /** Throws `resources` when it cannot be opened, `log-format` when it is no durable log. */
  constructor(file: string) {
    this.#spool = Spool.open({ path: file, budgetBytes: Number.POSITIVE_INFINITY });
    this.#file = file;
    try {
      this.base = decodeBase(this.#spool.read(), file);
    } catch (error) {
      void this.#spool.close();
      throw error;
    }
    this.#position = this.base.position;
  }

  /**
   * The next record, or `undefined` behind the last one. Throws `log-format` when there is a gap,
   * or something that is no record.
   */
  read(): DurableRecord | undefined {
    const bytes = this.#spool.read();
    if (bytes === undefined) return undefined;
    const record = decodeRecord(bytes);
    if (record === undefined) {
      throw new UnderstudyError(
        'log-format',
        `Durable log '${this.#file}' is damaged behind position ${this.#position}: ${bytes.length} bytes of kind ${bytes[0]} are no record`,
      );
    }
    const from = record.kind === 'frame' ? record.from : record.position;
    if (from !== this.#position) {
      throw new UnderstudyError(
        'log-format',
        `Durable log '${this.#file}' has a gap: expected log from ${this.#position}, found it from ${from}`,
      );
    }
    if (record.kind === 'frame') this.#position = record.to;
    return record;
  }

  close(): Promise<void> {
    return this.#spool.close();
  }
}

function encodeRecord(record: DurableRecord): Buffer {
  const payload =
    record.kind === 'frame' ? record.payload : Buffer.from(record.judgement ?? '', 'hex');
  const numbers =
    record.kind === 'frame'
      ? [record.from, record.to, record.icount, record.receivedAtMs]
      : [record.position, record.icount];
  const headBytes = record.kind === 'frame' ? frameHeadBytes : markBytes;
  const bytes = Buffer.allocUnsafe(headBytes + payload.length);
  bytes.writeUInt8(kinds.indexOf(record.kind), 0);
  for (const [index, value] of numbers.entries()) {
    bytes.writeBigUInt64BE(BigInt(value), 1 + 8 * index);
  }
  bytes.set(payload, headBytes);
  return bytes;
}

/** Returns `undefined` for what is no record. */
function decodeRecord(bytes: Buffer): DurableRecord | undefined {
  const kind = kinds[bytes[0] ?? kinds.length];
  const headBytes = kind === 'frame' ? frameHeadBytes : markBytes;
  if (kind === undefined || bytes.length < headBytes) return undefined;
  const numbers: number[] = [];
  for (let at = 1; at < headBytes; at += 8) numbers.push(Number(bytes.readBigUInt64BE(at)));
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  const [first = 0, second = 0, third = 0, receivedAtMs = 0] = numbers;
  const payload = bytes.subarray(headBytes);
  if (kind !== 'frame') {
    const mark = { kind, position: logPosition(first), icount: toIcount(second) };
    if (payload.length === 0) return mark;
    if (kind !== 'cut' || payload.length !== judgementBytes) return undefined;
    return { ...mark, judgement: payload.toString('hex') };
  }
  const range = { from: logPosition(first), to: logPosition(second), icount: toIcount(third) };
  return { kind, ...range, receivedAtMs, payload };
}
