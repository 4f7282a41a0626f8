/**
 * A primary that asks the arbiter for a term: after a lost backup (`claiming`), for the first word
 * of a takeover (`proving`), or again after the backup got it, unproven (`yielding`).
 *
 * Contract
 *  1. One question at a time: while `retryAt` is `undefined` its answer is awaited.
 *  2. Who yields asks over the winner's head (terms.ts, 5) from `proofMs` on, or when the winner
 *     gave up; never before.
 */
import { limits } from '../base/limits.ts';
import type { Millis } from '../base/units.ts';
import type { PrimaryEvent, PrimaryState } from './primary-events.ts';

export type Asking = Extract<PrimaryState, { retryAt: Millis | undefined }>;

export const isAsking = (state: PrimaryState): state is Asking => 'retryAt' in state;

/** What changes how it asks. */
export type AskingEvent = Extract<
  PrimaryEvent,
  { type: 'timer' | 'termContested' | 'winnerGaveUp' | 'arbiterUnreachable' }
>;

/**
 * The state after an event; with a `retryAt` that has become `undefined` it asks now. `undefined`:
 * its own takeover came too late.
 */
export function afterwards(state: Asking, event: AskingEvent, now: Millis): Asking | undefined {
  const retryAt = (now + limits.arbiterRetryMs) as Millis;
  switch (event.type) {
    case 'timer':
      return state.retryAt === undefined || now < state.retryAt ? state : asking(state, now);
    case 'arbiterUnreachable':
      return { ...state, retryAt };
    case 'winnerGaveUp': {
      if (state.kind !== 'yielding') return state;
      const eager = { ...state, overtakes: true };
      return state.retryAt === undefined ? eager : asking(eager, now);
    }
    case 'termContested': {
      if (state.kind === 'proving') return undefined;
      if (state.kind === 'yielding') return { ...state, retryAt };
      const { then } = state;
      return { kind: 'yielding', since: now, retryAt, then, overtakes: false };
    }
  }
}

function asking(state: Asking, now: Millis): Asking {
  if (state.kind !== 'yielding') return { ...state, retryAt: undefined };
  const overtakes = state.overtakes || now - state.since >= limits.proofMs;
  return { ...state, retryAt: undefined, overtakes };
}
