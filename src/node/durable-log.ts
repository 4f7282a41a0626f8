/**
 * The durable log: what a backup with `ack: durable` acknowledges, on its disk. All log since the
 * cut of its seed, so that whoever has the state of that cut can execute it to any later point.
 *
 * The file is a spool (spool.ts: header, records with checksums). Its first record is JSON and says
 * whose log follows; each further record is a log frame as it arrived:
 *
 *      0        8        16       24
 *      +--------+--------+--------+- - - - -
 *      | from   | to     | icount | payload      big-endian u64; the payload is packed (packer.ts),
 *      +--------+--------+--------+- - - - -     and must be unpacked in order, from the first on
 *
 * Contract
 *  1. `onDurable(to)` is called when all log up to `to` is on the disk: flushed, not only written.
 *  2. One flush at a time; all that arrived meanwhile goes with the next one.
 *  3. The first failure is told once, and is the end: a disk that failed a flush may call the next
 *     one a success although it dropped what the first one was about.
 *  4. The file is begun anew at each seed and never shortened at its front: log without its cut is
 *     worth nothing. So it is bounded by its budget, and what is beyond it is a failure.
 *  5. It stays when the node ends.
 */
import fs from 'node:fs';
import { z } from 'zod';
import { makeDirectory } from '../arbiter/directory.ts';
import { asError, UnderstudyError } from '../base/errors.ts';
import { type LogPosition, logPosition, icount as toIcount } from '../base/units.ts';
import type { LogFrame } from '../ports/link.ts';
import { Spool, type SpoolOptions } from './spool.ts';

const recordHeadBytes = 24;

const baseSchema = z.strictObject({
  understudy: z.literal('durable-log'),
  version: z.literal(1),
  pair: z.string(),
  vmFingerprint: z.string(),
  /** QEMU release whose event kinds the log has. */
  layout: z.enum(['7.2', '10.0']),
  term: z.number().int(),
  seedId: z.string(),
  /** Of the cut: the log goes on from here. */
  position: z.number().int().transform(logPosition),
  icount: z.number().int().transform(toIcount),
  blockRequestId: z.number().int(),
});

/** Whose log it is, and where it begins. */
export type DurableLogBase = Omit<z.infer<typeof baseSchema>, 'understudy' | 'version'>;

/** One log frame, its payload still packed. */
export type DurableRecord = Pick<LogFrame, 'from' | 'to' | 'icount' | 'payload'>;

export interface DurableLogEvents {
  readonly onDurable: (to: LogPosition) => void;
  readonly onFailure: (error: Error) => void;
}

export class DurableLog {
  readonly #spool: Spool;
  readonly #events: DurableLogEvents;
  #writtenTo: LogPosition;
  #durableTo: LogPosition;
  #isFlushing = false;
  #isOver = false;

  /** Begins the file anew; what an earlier seed left is gone. Throws `resources`. */
  constructor(options: SpoolOptions, base: DurableLogBase, events: DurableLogEvents) {
    this.#spool = Spool.create(options);
    this.#events = events;
    this.#writtenTo = base.position;
    this.#durableTo = base.position;
    const head = { understudy: 'durable-log', version: 1, ...base };
    this.#spool.append(Buffer.from(JSON.stringify(head)));
  }

  push(frame: DurableRecord): void {
    if (this.#isOver) return;
    try {
      this.#spool.append(encodeRecord(frame));
    } catch (thrown) {
      this.#fail(asError(thrown));
      return;
    }
    this.#writtenTo = frame.to;
    if (!this.#isFlushing) void this.#flush();
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
    // In one line: it is the reason that the other node is told.
    const why = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    const message = `Cannot make log durable: ${error.message}${why}`;
    this.#events.onFailure(new UnderstudyError('resources', message, { cause: error }));
  }

  /** Nothing is told any more. The file stays. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#spool.close();
  }
}

/** Reads what a node left, also one that died: the longest run of whole records. */
export class DurableLogReader {
  readonly base: DurableLogBase;
  readonly #spool: Spool;
  readonly #path: string;
  #position: LogPosition;

  /** Throws `resources` when it cannot be opened, `log-format` when it is no durable log. */
  constructor(path: string) {
    this.#spool = Spool.open({ path, budgetBytes: Number.POSITIVE_INFINITY });
    this.#path = path;
    try {
      const {
        understudy: _,
        version: __,
        ...base
      } = baseSchema.parse(JSON.parse(this.#spool.read()?.toString() ?? ''));
      this.base = base;
    } catch (thrown) {
      void this.#spool.close();
      throw new UnderstudyError('log-format', `'${path}' is no durable log of version 1`, {
        cause: asError(thrown),
      });
    }
    this.#position = this.base.position;
  }

  /** The next record, or `undefined` behind the last one. Throws `log-format` when there is a gap. */
  read(): DurableRecord | undefined {
    const bytes = this.#spool.read();
    if (bytes === undefined) return undefined;
    const record = bytes.length < recordHeadBytes ? undefined : decodeRecord(bytes);
    if (record?.from !== this.#position) {
      throw new UnderstudyError(
        'log-format',
        `Durable log '${this.#path}' has a gap: expected log from ${this.#position}, found it from ${record?.from}`,
      );
    }
    this.#position = record.to;
    return record;
  }

  close(): Promise<void> {
    return this.#spool.close();
  }
}

function encodeRecord({ from, to, icount, payload }: DurableRecord): Buffer {
  const bytes = Buffer.allocUnsafe(recordHeadBytes + payload.length);
  bytes.writeBigUInt64BE(BigInt(from), 0);
  bytes.writeBigUInt64BE(BigInt(to), 8);
  bytes.writeBigUInt64BE(BigInt(icount), 16);
  bytes.set(payload, recordHeadBytes);
  return bytes;
}

function decodeRecord(bytes: Buffer): DurableRecord {
  return {
    from: logPosition(Number(bytes.readBigUInt64BE(0))),
    to: logPosition(Number(bytes.readBigUInt64BE(8))),
    icount: toIcount(Number(bytes.readBigUInt64BE(16))),
    payload: bytes.subarray(recordHeadBytes),
  };
}

/** `type` of statfs(2) for file systems that lie in memory: tmpfs and ramfs. */
const memoryFileSystems = new Set([0x01021994, 0x858458f6]);

/**
 * Makes the directory of a durable log, for our eyes only. Throws `rights` when it cannot be used
 * and `config` when it lies in memory, where nothing survives a loss of power.
 */
export async function prepareDurableDir(dir: string): Promise<void> {
  try {
    await makeDirectory(dir);
    fs.accessSync(dir, fs.constants.W_OK);
  } catch (thrown) {
    throw new UnderstudyError('rights', `Cannot keep the durable log in '${dir}'`, {
      cause: asError(thrown),
      hint: 'set durableLogDir of the node in the pair file to a directory that you may write',
    });
  }
  if (memoryFileSystems.has(fs.statfsSync(dir).type)) {
    throw new UnderstudyError('config', `The durable log would lie in memory, in '${dir}'`, {
      hint: 'set durableLogDir of the node in the pair file to a directory on a disk',
    });
  }
}
