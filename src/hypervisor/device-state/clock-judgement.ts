/**
 * How `shift=auto` last judged the guest's clock: a part of the section "timer".
 *
 * Once a second a timer re-arms itself and compares the guest's clock with the real one
 * (`icount_adjust_rt` and `icount_adjust`, softmmu/icount.c). A machine that is stopped re-arms,
 * and does not judge. When that falls between the primary's `stop` and its saved state, its copy
 * meets the turn while it runs, and judges: `last_delta` differs, maybe what an instruction costs,
 * and with it the bias of the guest's clock. No instruction was executed since. So the copy takes
 * those words from the primary, and goes on; whoever executes the same log later takes them at the
 * same cut.
 *
 * A judgement is 26 bytes in hexadecimal, as they are in the section (timer-section.ts):
 *
 *      0                   8                   16                   18
 *      +-------------------+-------------------+--------------------+- - - - - -+
 *      | qemu_icount_bias  | icount_rt_timer   | icount_time_shift  | last_delta
 *      +-------------------+-------------------+--------------------+- - - - - -+
 */
import type { DeviceState } from './parse.ts';
import { timerSection } from './timer-section.ts';

/** Of a judgement; in hexadecimal it has twice as many digits. */
export const judgementBytes = 26;

/** `undefined` when a machine has no such clock. */
export function judgementOf(state: DeviceState): string | undefined {
  const words = judgedWords(state);
  if (words === undefined) return undefined;
  return Buffer.concat(words).toString('hex');
}

/** A copy of `own` with another judgement; `undefined` when it has that one, or no such clock. */
export function withJudgement(own: DeviceState, judgement: string): Buffer | undefined {
  const present = judgementOf(own);
  if (present === undefined || present === judgement) return undefined;
  const words = Buffer.from(judgement, 'hex');
  if (words.length !== judgementBytes) {
    throw new Error(`a judgement of the clock has ${judgementBytes} bytes, not ${words.length}`);
  }
  const bytes = Buffer.from(own.bytes);
  let from = 0;
  for (const word of judgedWords({ ...own, bytes }) ?? []) {
    words.copy(word, 0, from, from + word.length);
    from += word.length;
  }
  return bytes;
}

/** Where they are in the state. */
function judgedWords(state: DeviceState): Buffer[] | undefined {
  const { icountAt, timersAt, shiftAt } = timerSection(state) ?? {};
  if (icountAt === undefined || timersAt === undefined || shiftAt === undefined) return undefined;
  return [
    state.bytes.subarray(icountAt, icountAt + 8),
    state.bytes.subarray(timersAt, timersAt + 8),
    state.bytes.subarray(shiftAt, shiftAt + 10),
  ];
}
