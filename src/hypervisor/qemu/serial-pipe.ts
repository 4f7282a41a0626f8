/**
 * A serial port of the guest, such as its console, as two FIFOs, which QEMU's `pipe` backend opens.
 *
 * QEMU must always be able to write. A byte that its backend does not take is recorded as such, and
 * written again when the backend is ready, which is not recorded: a replayer is ready at another
 * moment, and ends ("Missing character write event"). A socket is full after some 280 bytes,
 * because the serial port writes them one by one and each takes a buffer of its own; a FIFO joins
 * them.
 */
import fs from 'node:fs';
import net from 'node:net';
import { limits } from '../../base/limits.ts';
import { makeFifo, pipeBytesPending, setPipeBytes } from '../../host/libc.ts';

export class SerialPipe {
  /** What the guest writes. */
  readonly output: net.Socket;
  readonly #input: number;
  #isClosed = false;

  /** Makes `PATH.in` and `PATH.out` and opens them. */
  constructor(path: string) {
    // Read and write: opening does not wait for QEMU, and neither side ever sees an end.
    const [input, output] = [`${path}.in`, `${path}.out`].map((fifo) => {
      makeFifo(fifo);
      return fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    }) as [number, number];
    setPipeBytes(output, limits.serialPipeBytes);
    this.#input = input;
    this.output = new net.Socket({ fd: output, readable: true, writable: false });
    // Destroying it is told as an error, and there is no other one that QEMU's exit would not tell.
    this.output.on('error', () => undefined);
  }

  /** Gives bytes to QEMU, which takes them when the guest's serial port has room: a few at once. */
  give(bytes: Buffer): void {
    if (!this.#isClosed) fs.writeSync(this.#input, bytes);
  }

  /** Bytes that QEMU has not taken. */
  get untaken(): number {
    return this.#isClosed ? 0 : pipeBytesPending(this.#input);
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.output.destroy();
    fs.closeSync(this.#input);
  }
}
