/**
 * How long a guest stood still, by QEMU's own stamps: STOP is sent when the vCPU has stopped,
 * RESUME right before it goes on (`do_vm_stop` in softmmu/cpus.c, `vm_prepare_start` in
 * softmmu/runstate.c). What a command's sender sees is longer: until `stop` is executed the guest
 * runs, and the answer to `cont` is written by a main loop that the guest has gone on beside.
 */
import type { Monitor, QmpEvent } from '../qemu/monitor.ts';

export interface PauseWatch {
  /** Milliseconds; `undefined` when QEMU did not tell both. */
  readonly ms: () => number | undefined;
  readonly close: () => void;
}

/** Watches the next stop, from now on. */
export function watchPause(monitor: Pick<Monitor, 'onEvent'>): PauseWatch {
  const stamps = new Map<string, number>();
  const close = monitor.onEvent(({ event, timestamp }: QmpEvent) => {
    if (timestamp === undefined || timestamp.seconds < 0 || stamps.has(event)) return;
    stamps.set(event, timestamp.seconds * 1000 + timestamp.microseconds / 1000);
  });
  return {
    close,
    ms: () => {
      const [stop, resume] = [stamps.get('STOP'), stamps.get('RESUME')];
      // The clock on the wall may have been set back in between.
      return stop === undefined || resume === undefined || resume < stop
        ? undefined
        : resume - stop;
    },
  };
}
