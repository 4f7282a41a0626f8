/**
 * Feeds the event log to a replaying QEMU through a FIFO (R1).
 *
 * QEMU reads the log with stdio and treats end of file as a fatal error, so the feeder keeps its
 * end open as long as QEMU lives. A dry FIFO blocks QEMU while it holds its replay lock; that is
 * how a backup waits.
 *
 * Contract
 *  1. Only whole events are given to `feed`; bytes reach QEMU in order and exactly once.
 *  2. `pendingBytes` counts what QEMU has not read yet; up to 4 KiB more may be in its own buffer.
 */
import fs from 'node:fs';
import { asError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { makeFifo, pipeBytesPending, setPipeBytes } from '../../host/libc.ts';

export class LogFeeder {
  readonly #fd: number;
  readonly #queue: Buffer[] = [];
  readonly #onError: (error: Error) => void;
  #queuedBytes = 0;
  #fedBytes = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(path: string, onError: (error: Error) => void) {
    this.#onError = onError;
    makeFifo(path);
    // Read and write: opening does not wait for QEMU, and QEMU never sees end of file.
    this.#fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    setPipeBytes(this.#fd, limits.feedPipeBytes);
  }

  /** Bytes accepted so far, header included. */
  get fedBytes(): number {
    return this.#fedBytes;
  }

  /** Bytes accepted that QEMU has not read: in our queue and in the pipe. */
  get pendingBytes(): number {
    return this.#closed ? 0 : this.#queuedBytes + pipeBytesPending(this.#fd);
  }

  feed(bytes: Buffer): void {
    if (this.#closed || bytes.length === 0) return;
    this.#fedBytes += bytes.length;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (this.#retry === undefined) this.#drain();
  }

  #drain(): void {
    this.#retry = undefined;
    if (this.#closed) return;
    try {
      for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
        const written = fs.writeSync(this.#fd, head);
        this.#queuedBytes -= written;
        if (written < head.length) {
          this.#queue[0] = head.subarray(written);
        } else {
          this.#queue.shift();
        }
      }
    } catch (thrown) {
      const error = asError(thrown) as NodeJS.ErrnoException;
      if (error.code === 'EAGAIN')
        this.#retry = setTimeout(() => this.#drain(), limits.feedRetryMs);
      else this.#onError(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    fs.closeSync(this.#fd);
  }
}
