/**
 * Equal state at equal cuts: a machine that takes over is what the lost one was at that position;
 * it is not one that its guest switched off; and its disk, like that of a machine that boots, has
 * every write that the world was told of.
 */
import type { SimDisk } from '../disk.ts';
import { type DiskWrite, digestOf } from '../guest.ts';
import type { History } from '../history.ts';
import { type Booted, type Checker, type Released, type TookOver, Violation } from './facts.ts';

export class Lockstep implements Checker {
  /** The writes that the guest called complete in something that the world was told. */
  #told: { history: History; completed: number } | undefined;

  released({ history, indices }: Released): void {
    const last = history.outputs[indices.at(-1) ?? -1];
    if (last === undefined) return;
    const before = this.#told?.history.boot === history.boot ? this.#told.completed : 0;
    this.#told = { history, completed: Math.max(before, last.completed) };
  }

  tookOver({ node, history, position, state, disk }: TookOver): void {
    const expected = history.digestsAt(position);
    if (!expected.includes(digestOf(state))) {
      throw new Violation(
        'lockstep',
        `${node} took over at ${position} with state ${digestOf(state)}; the machine had ${expected.join(' or ')}`,
      );
    }
    if (state.off) {
      throw new Violation('lockstep', `${node} took over a guest that had switched itself off`);
    }
    mustHave(node, disk, history.completions.slice(0, state.completed));
  }

  booted({ node, disk }: Booted): void {
    if (this.#told === undefined) return;
    const { history, completed } = this.#told;
    mustHave(node, disk, history.completions.slice(0, completed));
  }
}

function mustHave(node: string, disk: SimDisk, writes: readonly DiskWrite[]): void {
  for (const { id, value } of writes) {
    if (disk.at(id) === value) continue;
    throw new Violation(
      'lockstep',
      `write ${id} was complete, but is not on the disk of ${node}: ${disk.at(id)}, not ${value}`,
    );
  }
}
