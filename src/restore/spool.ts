/**
 * The spool: log kept in a file, in order, until whoever needs it has taken it.
 *
 *  file     header | record | record | ...
 *
 *  header   0        4         8                16               24       28
 *           +--------+---------+----------------+----------------+--------+
 *           | "USPL" | version | released u64   | 0              | crc32  |      version: 1
 *           +--------+---------+----------------+----------------+--------+
 *  record   0        4         8
 *           +--------+---------+- - - - -
 *           | length | crc32   | bytes                 crc32: of length and bytes
 *           +--------+---------+- - - - -
 *
 * All numbers are big-endian u32 but `released`: the offset of the first record that is still
 * needed; what is before it was given back to the file system. A position is an offset in the file.
 *
 * Contract
 *  1. Records are read whole, once, in the order in which they were appended.
 *  2. What `sync` resolved for survives the death of the process and of the host. After one, `open`
 *     gives the longest run of whole records from `released` on; a torn one behind them is cut off.
 *  3. `usedBytes` is what is not released. It never exceeds the budget: `append` throws instead.
 *  4. The file is readable for its owner only: it holds the guest's packets and random numbers.
 */
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { flushPath } from '../host/durable-files.ts';
import { punchHole } from '../host/libc.ts';

const magic = 0x5553504c;
const version = 1;
const headerBytes = 28;
const recordHeadBytes = 8;

export interface SpoolOptions {
  readonly path: string;
  readonly budgetBytes: number;
  /** Key of the pair file that the budget came from. @default 'spoolBudget' */
  readonly budgetKey?: string;
  /** Puts the data of an open file on the disk. @default fdatasync(2) */
  readonly flush?: (fd: number) => Promise<void>;
}

export class Spool {
  readonly #path: string;
  readonly #budgetBytes: number;
  readonly #budgetKey: string;
  readonly #flush: (fd: number) => Promise<void>;
  readonly #fd: number;
  #end: number;
  #readAt: number;
  /** First record that is needed. */
  #released: number;
  /** As far as the file system has its pages back. */
  #punchedTo: number;
  #durableTo: number;
  /** The file itself will be found after a loss of power. */
  #isNameDurable = false;
  #syncing: Promise<void> | undefined;
  #isClosed = false;

  private constructor(options: SpoolOptions, fd: number, at: { released: number; end: number }) {
    this.#path = options.path;
    this.#budgetBytes = options.budgetBytes;
    this.#budgetKey = options.budgetKey ?? 'spoolBudget';
    this.#flush = options.flush ?? promisify(fs.fdatasync);
    this.#fd = fd;
    this.#end = at.end;
    this.#readAt = at.released;
    this.#released = at.released;
    this.#punchedTo = headerBytes;
    this.#durableTo = at.end;
  }

  /** Makes a new, empty spool; what was at the path is gone. Throws `resources`. */
  static create(options: SpoolOptions): Spool {
    return reaching(options.path, () => {
      fs.rmSync(options.path, { force: true });
      const fd = fs.openSync(options.path, 'wx+', 0o600);
      fs.writeSync(fd, encodeHeader(headerBytes), 0, headerBytes, 0);
      return new Spool(options, fd, { released: headerBytes, end: headerBytes });
    });
  }

  /**
   * Opens what a process left that died. Throws `resources`, and `log-format` for anything else.
   */
  static open(options: SpoolOptions): Spool {
    return reaching(options.path, () => {
      const fd = fs.openSync(options.path, 'r+');
      try {
        const released = readHeader(fd, options.path);
        let end = released;
        for (let next = readRecord(fd, end); next !== undefined; next = readRecord(fd, end)) {
          end += recordHeadBytes + next.length;
        }
        fs.ftruncateSync(fd, end);
        return new Spool(options, fd, { released, end });
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
    });
  }

  /**
   * The first record of a file, which may be long: nothing else of it is read. Throws as `open`
   * does.
   */
  static first(path: string): Buffer | undefined {
    return reaching(path, () => {
      const fd = fs.openSync(path, 'r');
      try {
        return readRecord(fd, readHeader(fd, path));
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  /** Bytes that are not released. */
  get usedBytes(): number {
    return this.#end - this.#released;
  }

  /** Position behind the last record. */
  get end(): number {
    return this.#end;
  }

  /** Position up to which everything is on the disk. */
  get durableTo(): number {
    return this.#durableTo;
  }

  get isDrained(): boolean {
    return this.#readAt === this.#end;
  }

  hasRoomFor(bytes: number): boolean {
    return this.usedBytes + recordHeadBytes + bytes <= this.#budgetBytes;
  }

  /** Returns the position behind it. Throws `resources` without room, or when the disk is full. */
  append(bytes: Uint8Array): number {
    if (!this.hasRoomFor(bytes.length)) {
      throw new UnderstudyError(
        'resources',
        `Cannot spool ${bytes.length} bytes of log: ${this.usedBytes} of ${this.#budgetBytes} are used`,
        { hint: `give a larger ${this.#budgetKey} in the pair file` },
      );
    }
    return reaching(this.#path, () => {
      const head = Buffer.alloc(recordHeadBytes);
      head.writeUInt32BE(bytes.length, 0);
      head.writeUInt32BE(recordChecksum(head, bytes), 4);
      const written = fs.writevSync(this.#fd, [head, bytes], this.#end);
      if (written !== head.length + bytes.length) throw new Error('the file system is full');
      this.#end += written;
      return this.#end;
    });
  }

  /** The next record, or `undefined` when all are read. */
  read(): Buffer | undefined {
    if (this.isDrained) return undefined;
    const bytes = readRecord(this.#fd, this.#readAt);
    if (bytes === undefined) {
      throw new UnderstudyError(
        'log-format',
        `Spool '${this.#path}' is damaged at ${this.#readAt}`,
      );
    }
    this.#readAt += recordHeadBytes + bytes.length;
    return bytes;
  }

  /** What was read so far is not needed any more. */
  releaseRead(): void {
    this.#released = this.#readAt;
    const punch = this.#released - this.#punchedTo;
    if (punch < limits.logReclaimBytes && !this.isDrained) return;
    // The header first: a hole must never be taken for records.
    fs.writeSync(this.#fd, encodeHeader(this.#released), 0, headerBytes, 0);
    if (punch > 0) punchHole(this.#fd, this.#punchedTo, punch);
    this.#punchedTo = this.#released;
  }

  /** Resolves when all that was appended before this call is on the disk. */
  async sync(): Promise<void> {
    const wanted = this.#end;
    while (this.#durableTo < wanted && !this.#isClosed) {
      // One at a time: what is appended meanwhile shares the next one.
      this.#syncing ??= this.#syncNow();
      await this.#syncing;
    }
  }

  async #syncNow(): Promise<void> {
    const to = this.#end;
    try {
      await this.#flush(this.#fd);
      if (!this.#isNameDurable) await flushPath(path.dirname(this.#path));
      this.#isNameDurable = true;
      this.#durableTo = to;
    } finally {
      this.#syncing = undefined;
    }
  }

  /** Leaves the file for `open`. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#syncing?.catch(() => undefined); // whoever waits for it is told
    fs.closeSync(this.#fd);
  }

  async remove(): Promise<void> {
    await this.close();
    fs.rmSync(this.#path, { force: true });
  }
}

function encodeHeader(released: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32BE(magic, 0);
  bytes.writeUInt32BE(version, 4);
  bytes.writeBigUInt64BE(BigInt(released), 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 24)), 24);
  return bytes;
}

function readHeader(fd: number, path: string): number {
  const bytes = Buffer.alloc(headerBytes);
  const isWhole = fs.readSync(fd, bytes, 0, headerBytes, 0) === headerBytes;
  const found = bytes.readUInt32BE(4);
  if (!isWhole || bytes.readUInt32BE(0) !== magic || found !== version) {
    throw new UnderstudyError('log-format', `'${path}' is no spool of version ${version}`);
  }
  if (bytes.readUInt32BE(24) !== crc32(bytes.subarray(0, 24))) {
    throw new UnderstudyError('log-format', `The header of spool '${path}' is damaged`);
  }
  return Number(bytes.readBigUInt64BE(8));
}

/** The record at an offset, or `undefined` if there is no whole one. */
function readRecord(fd: number, offset: number): Buffer | undefined {
  const head = Buffer.alloc(recordHeadBytes);
  if (fs.readSync(fd, head, 0, recordHeadBytes, offset) < recordHeadBytes) return undefined;
  const length = head.readUInt32BE(0);
  if (length === 0 || length > limits.spoolRecordBytesMax) return undefined;
  const bytes = Buffer.allocUnsafe(length);
  if (fs.readSync(fd, bytes, 0, length, offset + recordHeadBytes) < length) return undefined;
  return head.readUInt32BE(4) === recordChecksum(head, bytes) ? bytes : undefined;
}

function recordChecksum(head: Buffer, bytes: Uint8Array): number {
  return crc32(bytes, crc32(head.subarray(0, 4)));
}

function reaching<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) throw thrown;
    throw new UnderstudyError('resources', `Cannot keep log in '${path}'`, {
      cause: asError(thrown),
      hint: 'check that its directory exists, is writable and has room',
    });
  }
}
