/**
 * Keeps the host clock of a machine going across a takeover.
 *
 * With `shift=auto` QEMU lets an idle guest's clock advance only up to its own real clock
 * (`icount_warp_rt`, softmmu/icount.c). A replayer's real clock counts from its own start, so it is
 * behind the guest's clock by as long as the seed took: a successor that loaded it as it is would
 * let an idle guest stand still for that long. Measured: up to 1 s until the first timer fired.
 *
 * So the real clock is set to where the primary's was: the last value of it in the log, or the
 * guest's clock if that is later. Nothing that the guest can see changes.
 */
import { UnderstudyError } from '../base/errors.ts';

/** Where the values of a "timer" section are, and what they say, in nanoseconds. */
interface TimerSection {
  /** Offset of `cpu_clock_offset` in the file. */
  readonly clockAt: number;
  readonly clockNs: bigint;
  /** The guest's clock: bias + (icount << shift). */
  readonly guestNs: bigint;
}

/**
 * A copy of `deviceState` whose real clock is not behind `lastClockNs` nor the guest's clock.
 * `lastClockNs` is the recorded VIRTUAL_RT clock: `cached_clock[1]` of the replay section.
 */
export function continueClock(deviceState: Buffer, lastClockNs: bigint): Buffer {
  const timer = findTimer(deviceState);
  const latest = [timer.clockNs, timer.guestNs, lastClockNs].reduce((a, b) => (a > b ? a : b));
  const patched = Buffer.from(deviceState);
  patched.writeBigInt64BE(latest, timer.clockAt);
  return patched;
}

/** vmstate_timers and its subsections, softmmu/cpu-timers.c; the same in 7.2 and 10.0. */
function findTimer(state: Buffer): TimerSection {
  const nameAt = state.indexOf('\x05timer\0\0\0\0', 0, 'latin1');
  const timerAt = nameAt + 1 + 'timer'.length + 4 + 4;
  const icountAt = subsection(state, 'timer/icount', timerAt);
  const shiftAt = subsection(state, 'timer/icount/shift', icountAt);
  if (nameAt < 0 || icountAt < 0) {
    throw new UnderstudyError(
      'state-format',
      'The device state has no "timer" section with icount',
      {
        hint: 'it must be the state of a machine that runs with -icount',
      },
    );
  }
  const clockAt = timerAt + 16;
  const bias = state.readBigInt64BE(icountAt);
  const icount = state.readBigInt64BE(icountAt + 8);
  // Only an adaptive shift is saved; with a fixed one the real clock sets no bound to the guest's.
  const shift = shiftAt < 0 ? 0n : BigInt(state.readInt16BE(shiftAt));
  return {
    clockAt,
    clockNs: state.readBigInt64BE(clockAt),
    guestNs: bias + (icount << shift),
  };
}

/** Offset of a subsection's first value, or -1: marker byte, name length, name, version. */
function subsection(state: Buffer, name: string, from: number): number {
  const head = Buffer.concat([Buffer.from([0x05, name.length]), Buffer.from(name, 'latin1')]);
  const at = state.indexOf(head, Math.max(0, from));
  return at < 0 ? -1 : at + head.length + 4;
}
