/**
 * The life of a simulated process: it starts, stands still, goes on, and ends, at any step.
 *
 * Contract
 *  1. What a process does happens in `enter`, `later` or a `Life`: nothing of a dead life runs, and
 *     a paused process runs nothing until it goes on.
 *  2. A crash may strike at each `step`: all that was under way ends there.
 */
import type { Millis } from '../src/base/units.ts';
import type { Doer, World } from './world.ts';

/** From a start to the end that follows. What is begun in it is over with it. */
export interface Life extends Doer {
  readonly isOver: boolean;
}

/** Thrown inside of a process that dies at this very step. */
class CrashSignal extends Error {}

export class SimProcess {
  readonly name: string;
  /** One life of this process, as the arbiter knows it. */
  holder: string;
  /** Steps until it dies at that very one. */
  crashIn: number | undefined;
  readonly #world: World;
  readonly #onCrash: () => void;
  #starts = 0;
  #life: PresentLife;
  #isPaused = false;
  #inbox: (() => void)[] = [];
  /** Clock jumps seen by this host. */
  #clockOffset = 0;

  /** `onCrash`: it died at a step, and has to be ended. */
  constructor(name: string, world: World, onCrash: () => void) {
    this.name = name;
    this.holder = `${name}:0`;
    this.#world = world;
    this.#onCrash = onCrash;
    this.#life = new PresentLife(this);
    this.#life.isOver = true;
  }

  get isUp(): boolean {
    return !this.#life.isOver;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** On this host's own monotonic clock. */
  get now(): Millis {
    return (this.#world.now + this.#clockOffset) as Millis;
  }

  get life(): Life {
    return this.#life;
  }

  start(): void {
    this.#starts += 1;
    this.holder = `${this.name}:${this.#starts}`;
    this.#life = new PresentLife(this);
  }

  end(): void {
    this.#life.isOver = true;
    this.#isPaused = false;
    this.#inbox = [];
    this.crashIn = undefined;
  }

  /** SIGSTOP: its machine, a process of its own, runs on. */
  pause(): void {
    if (!this.isUp || this.#isPaused) return;
    this.say('stands still');
    this.#isPaused = true;
  }

  go(): void {
    if (!this.#isPaused) return;
    this.say('goes on');
    this.#isPaused = false;
    // A crash empties the inbox.
    for (let act = this.#inbox.shift(); act !== undefined; act = this.#inbox.shift()) {
      this.run(act);
    }
  }

  jumpClock(ms: number): void {
    this.#clockOffset += ms;
  }

  say(what: string): void {
    this.#world.say(this.name, what);
  }

  enter(act: () => void): void {
    if (this.#isPaused) this.#inbox.push(act);
    else this.run(act);
  }

  /** Runs `act` in this life, in `delayMs`, when the process is not standing still. */
  later(delayMs: number, act: () => void): void {
    this.#world.after(delayMs, act, this.#life);
  }

  /** What somebody else is given to call, however late. */
  inThisLife<Arg>(act: (arg: Arg) => void): (arg: Arg) => void {
    const life = this.#life;
    return (arg) => life.run(() => act(arg));
  }

  /** At each step it may be the last one. */
  step(): void {
    if (this.crashIn === undefined) return;
    this.crashIn -= 1;
    if (this.crashIn > 0) return;
    this.crashIn = undefined;
    throw new CrashSignal();
  }

  run(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      if (!(thrown instanceof CrashSignal)) throw thrown;
      this.#world.struck('crash at a step');
      this.#onCrash();
    }
  }
}

class PresentLife implements Life {
  isOver = false;
  readonly #process: SimProcess;

  constructor(process: SimProcess) {
    this.#process = process;
  }

  run(act: () => void): void {
    if (!this.isOver) this.#process.enter(act);
  }
}
