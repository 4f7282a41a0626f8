/**
 * The "timer" section of a device state: the machine's clocks, and how they are adjusted.
 *
 * vmstate_timers and its subsections, softmmu/cpu-timers.c; the same in 7.2 and 10.0. Big-endian:
 *
 *     timer                 i64 cpu_ticks_offset   8 unused   i64 cpu_clock_offset
 *     timer/icount          i64 qemu_icount_bias   i64 qemu_icount
 *     timer/icount/timers   i64 icount_rt_timer    i64 icount_vm_timer     with shift=auto
 *     timer/icount/shift    i16 icount_time_shift  i64 last_delta          with shift=auto
 *
 * A subsection is 0x05, the length of its name, the name, a u32 version, and its fields.
 */
import { type DeviceState, findSection } from './parse.ts';

/** Byte offsets in the file; of the subsections `undefined` where the machine has none. */
export interface TimerSection {
  /** Of `cpu_clock_offset`: the host's clock. */
  readonly clockAt: number;
  /** Of `qemu_icount_bias`, with the icount behind it. */
  readonly icountAt: number | undefined;
  readonly timersAt: number | undefined;
  readonly shiftAt: number | undefined;
}

export function timerSection(state: DeviceState): TimerSection | undefined {
  const section = findSection(state, 'timer');
  if (section === undefined) return undefined;
  const { from, to } = section;
  const subsectionAt = (name: string): number | undefined => {
    const head = Buffer.concat([Buffer.of(0x05, name.length), Buffer.from(name, 'latin1')]);
    const at = state.bytes.subarray(from, to).indexOf(head);
    return at < 0 ? undefined : from + at + head.length + 4;
  };
  return {
    clockAt: from + 16,
    icountAt: subsectionAt('timer/icount'),
    timersAt: subsectionAt('timer/icount/timers'),
    shiftAt: subsectionAt('timer/icount/shift'),
  };
}
