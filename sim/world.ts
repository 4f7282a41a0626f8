/**
 * The simulated world's time: everything that happens is a callback at an instant, in one order.
 *
 * Contract
 *  1. Callbacks run in the order of their instants; those of one instant in the order they were
 *     made.
 *  2. Nothing runs outside of `run`. The same seed gives the same run.
 */
import type { Millis } from '../src/base/units.ts';
import { Prng } from './prng.ts';
import { Timeline } from './timeline.ts';

/** Whose deed it is: one who is gone by then does not do it, one who stands still does it later. */
export interface Doer {
  run(act: () => void): void;
}

interface Happening {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
  readonly doer: Doer | undefined;
}

export class World {
  readonly prng: Prng;
  readonly timeline = new Timeline();
  /** How often each named fault struck. */
  readonly faults = new Map<string, number>();
  #now = 0;
  #order = 0;
  readonly #heap: Happening[] = [];

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  /** Milliseconds since the run began. */
  get now(): Millis {
    return this.#now as Millis;
  }

  /** Runs `act` in `delayMs`. */
  after(delayMs: number, act: () => void, doer?: Doer): void {
    this.#order += 1;
    this.#push({ at: this.#now + delayMs, order: this.#order, act, doer });
  }

  /** Lets everything happen up to `untilMs`, or until `done` says so. */
  run(untilMs: number, done?: () => boolean): void {
    for (let next = this.#heap[0]; next !== undefined; next = this.#heap[0]) {
      if (next.at > untilMs || done?.() === true) break;
      this.#pop();
      this.#now = next.at;
      if (next.doer === undefined) next.act();
      else next.doer.run(next.act);
    }
    if (done?.() !== true) this.#now = Math.max(this.#now, untilMs);
  }

  struck(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }

  say(who: string, what: string): void {
    this.timeline.add(this.#now, who, what);
  }

  #push(entry: Happening): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(entry, heap[parent] as Happening)) break;
      heap[index] = heap[parent] as Happening;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Happening;
    const size = heap.length;
    if (size === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1] as Happening, heap[child] as Happening)) {
        child += 1;
      }
      if (!before(heap[child] as Happening, last)) break;
      heap[index] = heap[child] as Happening;
      index = child;
    }
    heap[index] = last;
  }
}

function before(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
