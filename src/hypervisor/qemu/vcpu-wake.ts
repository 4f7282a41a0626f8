/**
 * Makes the vCPU's thread of a recorder turn once although its guest is idle: frames, markers and
 * completions are recorded there only (docs/qemu-facts.md, 21). No command of QEMU does that as
 * such. The firmware's chip is told to be read, as it is: its driver leaves that mode and comes
 * back (`pflash_write`, hw/block/pflash_cfi01.c), so the map of memory is made anew, and the vCPU
 * is told (`tcg_commit`, softmmu/physmem.c), which empties its TLB. A qtest server, an object
 * beside the machine, takes such a write from a FIFO (softmmu/qtest.c).
 *
 * What the server answers goes nowhere: to read it would wake the node as often as its machine.
 * That a QEMU does not refuse is seen by `doctor`.
 */
import fs from 'node:fs';
import { makeFifo, pipeBytesPending } from '../../host/libc.ts';

/** The last page of the firmware; "read array" of the chip's command set. */
export const readArray = 'writeb 0xfffffff0 0xff\n';
/** What QEMU answers. */
export const qtestDone = 'OK';

export class VcpuWake {
  readonly #input: number;
  #isClosed = false;

  /** Makes `PATH.in` and `PATH.out`, which QEMU's `pipe` backend opens. */
  constructor(path: string) {
    makeFifo(`${path}.in`);
    fs.symlinkSync('/dev/null', `${path}.out`);
    // Read and write: opening does not wait for QEMU, which never sees an end.
    this.#input = fs.openSync(`${path}.in`, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  }

  /** Does nothing while QEMU has not read the last one. */
  wake(): void {
    if (this.#isClosed || pipeBytesPending(this.#input) > 0) return;
    fs.writeSync(this.#input, readArray);
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    fs.closeSync(this.#input);
  }
}
