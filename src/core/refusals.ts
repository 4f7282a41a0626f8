/** What whoever asks is answered by a node that cannot do it. */
import type { Answer, Wish } from './effects.ts';

/** By a node that is not primary. */
export function refusalOf({ wish }: Wish, node: string): Answer {
  const type = 'refused';
  if (wish === 'drill') return { type, code: 'takeover', problem: 'This node is not primary' };
  if (wish !== 'snapshot') return { type, code: 'cut', problem: 'This node is not primary' };
  return { type, code: 'cut', problem: `Node '${node}' has no primary to ask for a snapshot` };
}

/** By a primary in this state; it begins when it is protected. */
export function answerToDrill(state: string): Answer {
  const problem = `There is no backup to hand over to: ${state}`;
  return state === 'protected' ? { type: 'begun' } : { type: 'refused', code: 'takeover', problem };
}
