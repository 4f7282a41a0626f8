/**
 * Follows the event log that a recording QEMU writes (R1).
 *
 * The log is a regular file on tmpfs: its length is the exact log position of a cut, and the node
 * may fall behind or restart without stopping QEMU. inotify tells of growth; a slow timer beside it
 * covers a lost notification. Ranges that were read are given back to the file system, and room for
 * what comes next is reserved: QEMU does not say so when it cannot write its log.
 */
import fs from 'node:fs';
import { asError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { punchHole, reserveRoom } from '../../host/libc.ts';

export interface LogFollowerOptions {
  readonly file: string;
  /** First byte to deliver. */
  readonly from: number;
  readonly onChunk: (chunk: Buffer) => void;
  readonly onError: (error: Error) => void;
  /** Whether there is room for the log that comes; told when it changes. */
  readonly onRoom?: (isThere: boolean) => void;
}

/**
 * What a read goes to before it is known how much it is. Most polls find a few hundred bytes or
 * none: a buffer of this size for each made V8 collect all of its garbage four times a second.
 */
const scratch = Buffer.allocUnsafeSlow(limits.logChunkBytes);

export class LogFollower {
  readonly #options: LogFollowerOptions;
  readonly #fd: number;
  readonly #watcher: fs.FSWatcher;
  readonly #timer: NodeJS.Timeout;
  readonly #roomTimer: NodeJS.Timeout;
  #position: number;
  #reclaimed: number;
  #closed = false;
  #paused = false;
  #isReserved = true;

  constructor(options: LogFollowerOptions) {
    this.#options = options;
    this.#position = options.from;
    this.#reclaimed = options.from;
    this.#fd = fs.openSync(options.file, 'r+');
    this.#watcher = fs.watch(options.file, () => this.poll());
    this.#watcher.on('error', (error) => options.onError(error));
    this.#timer = setInterval(() => this.poll(), limits.logPollMs);
    this.#roomTimer = setInterval(() => {
      if (!this.#isReserved) this.#reserve();
    }, limits.logRoomMs);
    this.#reserve();
  }

  /** Bytes of the file that were delivered. */
  get position(): number {
    return this.#position;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Delivers nothing until `resume`: QEMU may write while a cut's position is still unknown. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.poll();
  }

  /** Delivers what was appended since the last call, in chunks, before it returns. */
  poll(): void {
    if (this.#closed || this.#paused) return;
    try {
      for (;;) {
        const bytes = fs.readSync(this.#fd, scratch, 0, scratch.length, this.#position);
        if (bytes === 0) return;
        this.#position += bytes;
        this.#options.onChunk(Buffer.from(scratch.subarray(0, bytes)));
        if (this.#closed) return;
        this.#reclaim();
        if (bytes < scratch.length) return;
      }
    } catch (error) {
      this.#options.onError(asError(error));
    }
  }

  #reclaim(): void {
    const bytes = this.#position - this.#reclaimed;
    if (bytes < limits.logReclaimBytes) return;
    punchHole(this.#fd, this.#reclaimed, bytes);
    this.#reclaimed = this.#position;
    this.#reserve();
  }

  /** Until this is used up somebody has time to make room. */
  #reserve(): void {
    const isReserved = reserveRoom(this.#fd, this.#position, limits.logReserveBytes);
    if (isReserved !== this.#isReserved) this.#options.onRoom?.(isReserved);
    this.#isReserved = isReserved;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    clearInterval(this.#timer);
    clearInterval(this.#roomTimer);
    fs.closeSync(this.#fd);
  }
}
