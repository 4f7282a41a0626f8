/**
 * Bounded memory: what waits anywhere in a node stays below a limit, whatever the faults do.
 *
 * A process that stood still finds all at once what its machine did meanwhile; that is no lack of a
 * bound, so a jump is allowed for. What counts is what still grows then.
 */
import { type Checker, type Sizes, Violation } from './facts.ts';

/** Above the pair's own bound: a guest that is slowed down creeps while a seed goes on. */
const heldOutputsMore = 120;
/** More in one tick than any guest says. */
const jump = 20;
/** What a busy primary records until a copy that has stalled is found out. */
const backlogEventsMax = 1100;

interface Held {
  readonly size: number;
  readonly bound: number;
}

export class Bounds implements Checker {
  readonly #held = new Map<string, Held>();

  sizes({ node, heldOutputs, heldOutputsMax, backlogEvents }: Sizes): void {
    this.#checkHeld(node, heldOutputs, heldOutputsMax);
    if (backlogEvents <= backlogEventsMax) return;
    throw new Violation('bounds', `${backlogEvents} events of a log wait on ${node}`);
  }

  #checkHeld(node: string, size: number, max: number): void {
    const before = this.#held.get(node) ?? { size: 0, bound: 0 };
    const growth = size - before.size;
    const bound = size <= max ? max + heldOutputsMore : before.bound + (growth > jump ? growth : 0);
    this.#held.set(node, { size, bound });
    if (size <= bound) return;
    throw new Violation('bounds', `${size} outputs wait on ${node}: more than ${bound}`);
  }
}
