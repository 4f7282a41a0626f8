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
import { UnderstudyError } from '../../base/errors.ts';
import { parseDeviceState, timerSection } from '../device-state/device-state.ts';

/**
 * A copy of `deviceState` whose real clock is not behind `lastClockNs` nor the guest's clock.
 * `lastClockNs` is the recorded VIRTUAL_RT clock: `cached_clock[1]` of the replay section.
 */
export function continueClock(deviceState: Buffer, lastClockNs: bigint): Buffer {
  const timer = timerSection(parseDeviceState(deviceState));
  if (timer?.icountAt === undefined) {
    throw new UnderstudyError(
      'state-format',
      'The device state has no "timer" section with icount',
      { hint: 'it must be the state of a machine that runs with -icount' },
    );
  }
  const { clockAt, icountAt, shiftAt } = timer;
  const bias = deviceState.readBigInt64BE(icountAt);
  const icount = deviceState.readBigInt64BE(icountAt + 8);
  // Only an adaptive shift is saved; with a fixed one the real clock sets no bound to the guest's.
  const shift = shiftAt === undefined ? 0n : BigInt(deviceState.readInt16BE(shiftAt));
  const guestNs = bias + (icount << shift);
  const clockNs = deviceState.readBigInt64BE(clockAt);
  const patched = Buffer.from(deviceState);
  const latest = [clockNs, guestNs, lastClockNs].reduce((a, b) => (a > b ? a : b));
  patched.writeBigInt64BE(latest, clockAt);
  return patched;
}
