/**
 * The guest's serial console as two FIFOs, which QEMU's `pipe` backend opens.
 *
 * QEMU must always be able to write. A byte that its backend does not take is recorded as such, and
 * written again when the backend is ready, which is not recorded: a replayer is ready at another
 * moment, and ends ("Missing character write event"). A socket is full after some 280 bytes,
 * because the serial port writes them one by one and each takes a buffer of its own; a FIFO joins
 * them.
 */
import fs from 'node:fs';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { limits } from '../../base/limits.ts';
import { makeFifo, setPipeBytes } from '../../host/libc.ts';

/** Makes `PATH.in` and `PATH.out` and opens them: what is read was written by the guest. */
export function openConsolePipe(path: string): Duplex {
  // Read and write: opening does not wait for QEMU, and neither side ever sees an end.
  const [input, output] = [`${path}.in`, `${path}.out`].map((fifo) => {
    makeFifo(fifo);
    return fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  }) as [number, number];
  setPipeBytes(output, limits.consolePipeBytes);
  const console = Duplex.from({
    readable: new net.Socket({ fd: output, readable: true, writable: false }),
    writable: new net.Socket({ fd: input, readable: false, writable: true }),
  });
  // Destroying it is told as an error, and there is no other one that QEMU's exit would not tell.
  console.on('error', () => undefined);
  return console;
}
