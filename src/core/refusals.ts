/** What whoever asks is answered by a node that cannot do it. */
import type { Answer, Wish } from './effects.ts';
import type { PrimaryEvent, PrimaryState } from './primary-events.ts';

/** By a node that is not primary. */
export function refusalOf({ wish }: Wish, node: string): Answer {
  const type = 'refused';
  if (wish === 'drill') return { type, code: 'takeover', problem: 'This node is not primary' };
  if (wish !== 'snapshot') return { type, code: 'cut', problem: 'This node is not primary' };
  return { type, code: 'cut', problem: `Node '${node}' has no primary to ask for a snapshot` };
}

/** States in which the term is this node's, and nothing else is under way with the machine. */
const settled: readonly string[] = ['alone', 'holding', 'seeding', 'granting', 'protected'];

export const mayGoBack = (state: PrimaryState['kind'] | string): boolean => settled.includes(state);

/** By a primary in this state; and what its core is told. */
export function beginning(
  wish: Extract<Wish, { wish: 'drill' | 'goBack' }>,
  state: string,
): { readonly answer: Answer; readonly told: PrimaryEvent } {
  const isDrill = wish.wish === 'drill';
  const begins = isDrill ? state === 'protected' : mayGoBack(state);
  const why = isDrill ? 'There is no backup to hand over to' : 'The machine cannot go back now';
  const told: PrimaryEvent = isDrill ? { type: 'drill' } : { type: 'goBack', reason: wish.reason };
  if (begins) return { answer: { type: 'begun' }, told };
  return { answer: { type: 'refused', code: 'takeover', problem: `${why}: ${state}` }, told };
}
