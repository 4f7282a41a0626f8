/** A copy that executes the log on its own disk, with some lag, as a replayer does. */
import { limits } from '../src/base/limits.ts';
import type { Millis } from '../src/base/units.ts';
import type { SimDisk } from './disk.ts';
import {
  cloneGuest,
  type DiskWrite,
  digestOf,
  eventBytes,
  execute,
  type GuestEvent,
  type GuestState,
  mix,
} from './guest.ts';
import type { History } from './history.ts';
import type { MachineImage } from './machine.ts';
import type { SimLog } from './messages.ts';
import type { Seams } from './seams.ts';

/** Events executed in one tick: some times what a primary makes. */
const eventsPerTick = 20;

export class SimReplica {
  readonly history: History;
  readonly state: GuestState;
  position: number;
  fedTo: number;
  /** A fault: it executes nothing any more. */
  isStalled = false;
  /** A fault: something was executed differently. */
  #diverged = false;
  readonly #disk: SimDisk;
  readonly #seams: Seams;
  readonly #queue: GuestEvent[] = [];
  #head = 0;
  #movedAt: Millis;
  #compare: { readonly position: number; readonly digest: number } | undefined;

  constructor(image: MachineImage, disk: SimDisk, seams: Seams, now: Millis) {
    this.history = image.history;
    this.state = cloneGuest(image.state);
    this.position = image.position;
    this.fedTo = image.position;
    this.#disk = disk;
    this.#seams = seams;
    this.#movedAt = now;
  }

  /** Events that wait to be executed. */
  get backlog(): number {
    return this.#queue.length - this.#head;
  }

  /** Throws when the log does not go on where it ended. */
  feed({ events, from, to }: SimLog, now: Millis): void {
    if (from !== this.fedTo) throw new Error(`log from ${from} does not go on at ${this.fedTo}`);
    if (this.backlog === 0) this.#movedAt = now;
    this.#queue.push(...events);
    this.fedTo = to;
  }

  /** The primary had this digest at this position; judged when the copy gets there. */
  compareAt(position: number, digest: number): void {
    this.#compare = { position, digest };
  }

  get hasDiverged(): boolean {
    return this.#diverged;
  }

  diverge(): void {
    this.#diverged = true;
    this.state.hash = mix(this.state.hash, 1);
  }

  /** Executes for a while. Returns why the copy is of no use any more. */
  work(now: Millis): string | undefined {
    if (this.isStalled) {
      return this.backlog > 0 && now - this.#movedAt > limits.stallMs
        ? 'it has stalled'
        : undefined;
    }
    if (this.backlog > 0) this.#movedAt = now;
    return this.#execute(Math.min(this.#executable, eventsPerTick));
  }

  /** Executes everything; its end proves that the copy is what the machine was. */
  drain(): string | undefined {
    if (this.isStalled) return 'the replayer stalls';
    const failure = this.#execute(this.#executable);
    if (failure !== undefined) return failure;
    return this.#diverged && this.#seams.noticesDivergence ? 'the state proves nothing' : undefined;
  }

  get #executable(): number {
    return Math.max(0, this.backlog - this.#seams.skippedAtTakeover);
  }

  #execute(count: number): string | undefined {
    for (let left = count; left > 0; left -= 1) {
      const event = this.#queue[this.#head] as GuestEvent;
      this.#head += 1;
      try {
        this.#take(event);
      } catch (thrown) {
        return (thrown as Error).message;
      }
      const failure = this.#compareHere();
      if (failure !== undefined) return failure;
    }
    if (this.#head > 1024) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return this.#compareHere();
  }

  #take(event: GuestEvent): void {
    // A completion in the log waits for this disk's own.
    const done: DiskWrite | undefined =
      event.kind === 'block' ? this.state.pending.find(({ id }) => id === event.id) : undefined;
    execute(this.state, event);
    if (done !== undefined) this.#disk.perform(done);
    this.position += eventBytes(event);
  }

  #compareHere(): string | undefined {
    const compare = this.#compare;
    if (compare === undefined || compare.position > this.position) return undefined;
    this.#compare = undefined;
    if (compare.position < this.position) return undefined;
    const isEqual = compare.digest === digestOf(this.state);
    return isEqual || !this.#seams.noticesDivergence ? undefined : 'the state differs at a cut';
  }
}
