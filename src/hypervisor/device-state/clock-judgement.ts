/**
 * How `shift=auto` last judged the guest's clock: a part of the section "timer".
 *
 * Once a second a timer re-arms itself and compares the guest's clock with the real one
 * (`icount_adjust_rt` and `icount_adjust`, softmmu/icount.c). A machine that is stopped re-arms, and does
 * not judge. When that falls between the primary's `stop` and its saved state, its copy meets the turn
 * while it runs, and judges: `last_delta` differs, maybe what an instruction costs, and with it the bias of
 * the guest's clock. No instruction was executed since. So the copy takes those words from the primary's
 * state, and goes on.
 */
import type { DeviceState } from './parse.ts';
import { timerSection } from './timer-section.ts';

/** A copy of `own` with the last judgement of `other`; `undefined` when a machine has no such clock. */
export function withJudgementOf(other: DeviceState, own: DeviceState): Buffer | undefined {
  const [from, to] = [timerSection(other), timerSection(own)];
  const bytes = Buffer.from(own.bytes);
  const words = [
    [from?.icountAt, to?.icountAt, 8], // qemu_icount_bias
    [from?.timersAt, to?.timersAt, 8], // icount_rt_timer
    [from?.shiftAt, to?.shiftAt, 10], // icount_time_shift, last_delta
  ] as const;
  for (const [source, target, length] of words) {
    if (source === undefined || target === undefined) return undefined;
    other.bytes.copy(bytes, target, source, source + length);
  }
  return bytes;
}
