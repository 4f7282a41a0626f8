/**
 * Restarts that somebody asked for: one node of a pair after the other, so that the machine is
 * handed over and never lost.
 *
 * Contract
 *  1. A primary is stopped for it only while its backup may take over; `force` waives that.
 *  2. Of two nodes the one that is not primary is first, and the primary waits until that one
 *     protects again: by what its new process says, never by what was said before.
 *  3. What is refused is refused at once, with the reason; what waits goes on when it may.
 */
import type { NodeKey, RestartAnswer } from './effects.ts';
import type { NodeCourse } from './node-course.ts';

export interface Restart {
  readonly left: NodeKey[];
  readonly force: boolean;
}

/** `nodes`: those that are asked for, of one pair; `all`: those of the pair on this host. */
export function planRestart(
  nodes: readonly NodeCourse[],
  all: readonly NodeCourse[],
  force: boolean,
): RestartAnswer {
  const order = [...nodes].sort((a, b) => Number(isPrimary(a)) - Number(isPrimary(b)));
  const isRolling = order.length > 1;
  for (const node of order) {
    if (force || node.place.is !== 'running') continue;
    if (node.seen === undefined) {
      return {
        code: 'link',
        problem: `${node.key} does not say whether it runs the machine`,
        hint: 'ask again in a moment; with --force it is restarted all the same',
      };
    }
    // The other one is restarted before, and may protect then.
    if (!isPrimary(node) || isRolling || mayBeStopped(node, all)) continue;
    return {
      code: 'link',
      problem: `${node.key} runs the machine, and no backup could go on with it`,
      hint: 'see that the pair is protected first; with --force the machine ends as by a power cut',
    };
  }
  return { nodes: order.map(({ key }) => key) };
}

/** Whether a node that runs may be stopped now for its restart. */
export function isItsTurn(
  node: NodeCourse,
  all: readonly NodeCourse[],
  { force }: Restart,
): boolean {
  if (force) return true;
  if (node.seen === undefined) return false;
  return !isPrimary(node) || mayBeStopped(node, all);
}

export const isPrimary = ({ seen }: NodeCourse): boolean => seen?.role === 'primary';

/** The backup of a primary may be on this host, and says so itself, or on another one. */
function mayBeStopped(primary: NodeCourse, all: readonly NodeCourse[]): boolean {
  const others = all.filter(({ key }) => key !== primary.key);
  if (primary.seen?.state !== 'protected') return false;
  return others.every(({ place, seen }) => place.is === 'running' && seen?.state === 'protecting');
}
