/** The questions of a core to its arbiter. */
import { asError, UnderstudyError } from '../base/errors.ts';
import type { NodeEffect, NodeEvent } from '../core/effects.ts';
import type { Arbiter } from '../ports/arbiter.ts';

type Question = Extract<NodeEffect, { type: 'readArbiter' | 'compareAndSet' }>;

/** Asks once. Never rejects: what failed comes with the event that says so. */
export async function askArbiter(
  arbiter: Arbiter,
  effect: Question,
): Promise<{ readonly event: NodeEvent; readonly cause?: Error }> {
  const { ask } = effect;
  try {
    if (effect.type === 'readArbiter') {
      return { event: { type: 'arbiterRead', ask, state: await arbiter.read() } };
    }
    const result = await arbiter.compareAndSet(effect.expected, effect.next);
    return { event: { type: 'arbiterSet', ask, result } };
  } catch (thrown) {
    const cause = asError(thrown);
    // With cause and hint: a full disk and a missing right look alike without them.
    const isKnown = cause instanceof UnderstudyError;
    const reason = isKnown ? cause.describe() : cause.message;
    const mayPass = isKnown && cause.mayPass;
    return { event: { type: 'arbiterFailed', ask, reason, mayPass }, cause };
  }
}
