/** Bounded memory: what waits anywhere in a node stays below a limit, whatever the faults do. */
import { limits } from '../../src/base/limits.ts';
import { type Checker, type Sizes, Violation } from './facts.ts';

const bounds: Readonly<Record<string, number>> = {
  /** One burst of the guest may be on its way when it is told to stand. */
  heldOutputs: limits.heldOutputsMax + 256,
  /** A second of a busy guest: flow control gives the backup up before. */
  backlogEvents: 20_000,
};

export class Bounds implements Checker {
  sizes({ node, waiting }: Sizes): void {
    for (const [name, size] of Object.entries(waiting)) {
      const bound = bounds[name];
      if (bound === undefined) throw new Error(`no bound is known for ${name}`);
      if (size <= bound) continue;
      throw new Violation('bounds', `${size} ${name} wait on ${node}: more than ${bound}`);
    }
  }
}
