/**
 * Makes the vCPU's thread of a recorder turn once although its guest is idle: frames, markers and
 * completions are recorded there only (docs/qemu-facts.md, 21). No command of QEMU does that as
 * such; two do nothing else, each with some releases:
 *
 *   trace  up to 8.0: a trace event of a vCPU is switched (`async_run_on_cpu`,
 *          trace/control-target.c). It is one that never occurs.
 *   flash  all: the firmware's chip is told to be read, as it is. Its driver leaves that mode and
 *          comes back (`pflash_write`, hw/block/pflash_cfi01.c), so the map of memory is made anew,
 *          and the vCPU is told (`tcg_commit`, softmmu/physmem.c). A qtest server, an object beside
 *          the machine, takes such a write from a socket (softmmu/qtest.c).
 *
 * Flash empties the vCPU's TLB each time, trace its cache of translated blocks.
 */
import type { QemuRelease } from '../../rrlog/layouts.ts';
import type { Monitor } from './monitor.ts';

export type VcpuWakeKind = 'trace' | 'flash';

/** The trace event lost its vCPU in 8.1, the release that brought the newer log. */
export const vcpuWakeOf = (release: QemuRelease): VcpuWakeKind =>
  release === '7.2' ? 'trace' : 'flash';

/** The last page of the firmware; "read array" of the chip's command set. */
export const readArray = 'writeb 0xfffffff0 0xff\n';
/** What QEMU answers. */
export const qtestDone = 'OK';

export interface VcpuWake {
  /** Does nothing while the last one is not answered. */
  wake(): void;
}

export class TraceWake implements VcpuWake {
  readonly #monitor: Pick<Monitor, 'execute'>;
  #isBusy = false;
  #isEnabled = false;

  constructor(monitor: Pick<Monitor, 'execute'>) {
    this.#monitor = monitor;
  }

  wake(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#isEnabled = !this.#isEnabled;
    const event = { name: 'guest_cpu_enter', enable: this.#isEnabled, vcpu: 0 };
    const done = (): void => {
      this.#isBusy = false;
    };
    // A monitor that is gone is told of by its machine's end.
    this.#monitor.execute('trace-event-set-state', event).then(done, done);
  }
}

/** What there is of a socket here. */
export interface QtestStream {
  write(text: string): unknown;
  on(event: 'data', take: (bytes: Buffer) => void): unknown;
}

export class FlashWake implements VcpuWake {
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

  wake(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#stream.write(readArray);
  }
}
