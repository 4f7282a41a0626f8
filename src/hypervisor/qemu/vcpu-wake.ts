/**
 * Makes the vCPU's thread of a recorder turn once although its guest is idle: frames, markers and
 * completions are recorded there only (docs/qemu-facts.md, 21). No command of QEMU does that as
 * such. The firmware's chip is told to be read, as it is: its driver leaves that mode and comes
 * back (`pflash_write`, hw/block/pflash_cfi01.c), so the map of memory is made anew, and the vCPU
 * is told (`tcg_commit`, softmmu/physmem.c), which empties its TLB. A qtest server, an object
 * beside the machine, takes such a write from a socket (softmmu/qtest.c).
 */

/** The last page of the firmware; "read array" of the chip's command set. */
export const readArray = 'writeb 0xfffffff0 0xff\n';
/** What QEMU answers. */
export const qtestDone = 'OK';

/** What there is of a socket here. */
export interface QtestStream {
  write(text: string): unknown;
  on(event: 'data', take: (bytes: Buffer) => void): unknown;
}

export class VcpuWake {
  readonly #stream: QtestStream;
  #isBusy = false;
  #said = '';

  constructor(stream: QtestStream) {
    this.#stream = stream;
    stream.on('data', (bytes) => {
      this.#said += bytes.toString('latin1');
      const lines = this.#said.split('\n');
      this.#said = lines.pop() ?? '';
      // Refused, it is never tried again: doctor says so, and outputs are held longer.
      if (lines.length > 0 && lines.every((line) => line === qtestDone)) this.#isBusy = false;
    });
  }

  /** Does nothing while the last one is not answered. */
  wake(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#stream.write(readArray);
  }
}
