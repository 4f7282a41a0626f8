/**
 * A copy that executes the log on its own disk, with some lag, as a replayer does. It keeps the
 * contract of src/ports/machine.ts.
 */
import { limits } from '../src/base/limits.ts';
import { icount, logPosition, type Millis, type Term } from '../src/base/units.ts';
import type { Control, Cut, LinkMessage } from '../src/ports/link.ts';
import type { Copy, CopyReport } from '../src/ports/machine.ts';
import type { SimDisk } from './disk.ts';
import {
  cloneGuest,
  type DiskWrite,
  digestOf,
  eventBytes,
  execute,
  type GuestEvent,
  type GuestState,
  goOn,
  mix,
} from './guest.ts';
import type { History } from './history.ts';
import type { MachineImage } from './image.ts';
import type { SimBlob, SimLog } from './messages.ts';
import type { ConnectionEnd } from './network.ts';
import type { Seams } from './seams.ts';
import type { Condition } from './settings.ts';
import type { Doer, World } from './world.ts';

/** A cut of this copy that is kept. */
interface KeptCut {
  readonly cutId: string;
  readonly history: History;
  readonly position: number;
  readonly digest: number;
}

export interface CopyOptions {
  readonly world: World;
  readonly disk: SimDisk;
  readonly end: ConnectionEnd;
  readonly term: Term;
  readonly seams: Seams;
  /** Log that is acknowledged is on its disk. */
  readonly isDurable: boolean;
  readonly condition: Condition;
  readonly report: (report: CopyReport) => void;
  readonly keep: (cut: KeptCut) => void;
}

type Step =
  | GuestEvent
  | { readonly kind: 'goOn' }
  | { readonly kind: 'compare'; readonly cut: Cut };

export class SimCopy implements Copy, Doer {
  readonly #options: CopyOptions;
  #seedId = '';
  #image: MachineImage | undefined;
  #state: GuestState | undefined;
  #position = 0;
  /** End of the log in memory, and on disk. */
  #held = 0;
  #durable = 0;
  /** A fault: it executes nothing any more. */
  isStalled = false;
  /** A fault: something was executed differently. */
  #hasDiverged = false;
  readonly #queue: Step[] = [];
  /** When each of them arrived. */
  readonly #arrivals: number[] = [];
  #head = 0;
  #movedAt = 0;
  #isReady = false;
  /** Everything was executed for a takeover. */
  #isProved = false;
  #isOver = false;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** Which machine this is a copy of; once it is one. */
  get history(): History | undefined {
    return this.#image?.history;
  }

  get hasDiverged(): boolean {
    return this.#hasDiverged;
  }

  /** Events that wait to be executed. */
  get backlog(): number {
    return this.#state === undefined ? 0 : this.#queue.length - this.#head;
  }

  /** What it truly holds. */
  holds(mode: 'received' | 'durable'): number {
    return mode === 'received' ? this.#held : this.#durable;
  }

  diverge(): void {
    // One that was proved stands still.
    if (this.#state === undefined || this.#isProved) return;
    this.#hasDiverged = true;
    this.#state.hash = mix(this.#state.hash, 1);
  }

  /** A process that it needs ends. */
  breakDown(): void {
    if (this.#isOver) return;
    this.isStalled = true;
    this.#fail('its storage daemon is gone');
  }

  /**
   * Throws for what a real one would refuse: log that is torn, or does not go on where it ended.
   */
  take(message: LinkMessage): void {
    if (this.#isOver) return;
    if (message.kind === 'log') this.#takeLog(message as SimLog);
    else if (message.kind === 'blob') this.#load((message as SimBlob).image);
    else if (message.kind === 'control') this.#takeControl(message.control);
  }

  compare(cut: Cut): void {
    this.#enqueue({ kind: 'compare', cut });
  }

  granted(): void {
    // What is worth keeping is decided by each cut here.
  }

  takeOver(): void {
    // Draining and proving, then loading: measured on real pairs, see sim/fleet/figures.ts.
    this.#after(this.#options.world.prng.between(12, 60), () => {
      const failure = this.#drain();
      this.#isProved = failure === undefined;
      if (failure === undefined) this.#options.report({ type: 'tookOver' });
      else this.#options.report({ type: 'takeoverFailed', reason: failure });
    });
  }

  followPowerOff(): void {
    this.#after(5, () => this.destroy());
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.report({ type: 'gone' });
  }

  /** The copy is the machine now: its state, where it stands, and what it continues. */
  become(): { readonly state: GuestState; readonly position: number; readonly history: History } {
    const state = this.#state;
    const history = this.history;
    if (state === undefined || history === undefined) throw new Error('there is no copy yet');
    this.#isOver = true;
    return { state: cloneGuest(state), position: this.#position, history };
  }

  /** Its process is gone: nobody is told. */
  vanish(): void {
    this.#isOver = true;
  }

  /** Works for a while. To be called every `coreTimerMs`. */
  tick(now: Millis): void {
    if (this.#isOver || this.#state === undefined) return;
    const had = this.backlog;
    if (this.isStalled) {
      if (had > 0 && now - this.#movedAt > limits.stallMs) this.#fail('it has stalled');
      return;
    }
    if (had > 0) this.#movedAt = now;
    const failure = this.#execute(Math.min(this.#executable, this.#options.condition.copySpeed()));
    if (failure !== undefined) {
      this.#fail(failure);
      return;
    }
    if (had > 0) this.#tellExecuted();
    if (this.#isReady || this.backlog > 1) return;
    this.#isReady = true;
    this.#options.report({ type: 'copyReady', seedId: this.#seedId });
  }

  /** Something happens in it. */
  run(act: () => void): void {
    if (!this.#isOver) act();
  }

  #takeControl(control: Control): void {
    const { end, term } = this.#options;
    if (control.type === 'seedBegin') {
      this.#seedId = control.seedId;
      const have: Control = { type: 'seedHave', seedId: control.seedId, streams: [] };
      end.send({ kind: 'control', term, control: have });
    }
    if (control.type === 'seedOffer') this.#held = control.logPosition;
    if (control.type === 'resumed') this.#enqueue({ kind: 'goOn' });
  }

  #takeLog(log: SimLog): void {
    const { seams, report } = this.#options;
    if (seams.refusesTornLog && log.torn === true) throw new Error('a torn event');
    if (seams.refusesTornLog && log.from !== this.#held) {
      throw new Error(`log from ${log.from}, not ${this.#held}`);
    }
    if (this.backlog === 0) this.#movedAt = this.#options.world.now;
    this.#held = log.to;
    for (const event of log.events) this.#enqueue(event);
    if (log.events.some(({ kind }) => kind === 'shutdown')) report({ type: 'shutdownLogged' });
    report({ type: 'received', to: logPosition(log.to), executed: this.#executed });
    this.#spool(log.to);
  }

  #enqueue(step: Step): void {
    this.#queue.push(step);
    this.#arrivals.push(this.#options.world.now);
  }

  #load(image: MachineImage): void {
    this.#options.disk.overwrite(image.disk);
    this.#image = image;
    this.#state = cloneGuest(image.state);
    this.#position = image.position;
    this.#movedAt = this.#options.world.now;
  }

  #spool(to: number): void {
    const ms = this.#options.condition.spoolMs();
    if (ms === undefined) {
      // Without durable acknowledgements the spool is a convenience.
      if (this.#options.isDurable) this.#fail('the spool is full', 500);
      return;
    }
    this.#after(ms, () => {
      if (to <= this.#durable) return;
      this.#durable = to;
      const executed = this.#executed;
      this.#options.report({ type: 'durable', to: logPosition(to), executed });
    });
  }

  #fail(reason: string, pauseMs?: number): void {
    const canTakeOver = pauseMs !== undefined;
    this.#options.report({ type: 'copyFailed', reason, pauseMs, canTakeOver });
  }

  #tellExecuted(): void {
    const isAll = this.backlog === 0;
    const lagMs = isAll ? 0 : this.#options.world.now - (this.#arrivals[this.#head] ?? 0);
    this.#options.report({ type: 'executed', executed: this.#executed, isAll, lagMs });
  }

  /** As the primary counts it. */
  get #executed() {
    return icount(this.#position * limits.idleInstructionsPerMs);
  }

  /** Executes everything; its end proves that the copy is what the machine was. */
  #drain(): string | undefined {
    if (this.#state === undefined) return 'there is no copy';
    if (this.isStalled) return 'the replayer stalls';
    if (this.#options.condition.takeoverFails()) return 'the successor does not start';
    const failure = this.#execute(this.#executable);
    if (failure !== undefined) return failure;
    const { seams } = this.#options;
    return this.#hasDiverged && seams.provesTakeover ? 'the state proves nothing' : undefined;
  }

  get #executable(): number {
    return Math.max(0, this.backlog - this.#options.seams.skippedAtTakeover);
  }

  #execute(count: number): string | undefined {
    for (let left = count; left > 0; left -= 1) {
      const step = this.#queue[this.#head] as Step;
      this.#head += 1;
      try {
        this.#do(step, this.#state as GuestState);
      } catch (thrown) {
        return (thrown as Error).message;
      }
    }
    if (this.#head > 1024) {
      this.#queue.splice(0, this.#head);
      this.#arrivals.splice(0, this.#head);
      this.#head = 0;
    }
    return undefined;
  }

  #do(step: Step, state: GuestState): void {
    if (step.kind === 'goOn') goOn(state);
    else if (step.kind === 'compare') this.#compare(step.cut, state);
    else {
      // A completion in the log waits for this disk's own.
      const done: DiskWrite | undefined =
        step.kind === 'block' ? state.pending.find(({ id }) => id === step.id) : undefined;
      execute(state, step);
      if (done !== undefined) this.#options.disk.perform(done);
      this.#position += eventBytes(step);
    }
  }

  #compare({ cutId, position, digest, keep }: Cut, state: GuestState): void {
    const { world, condition, report } = this.#options;
    const own = digestOf(state);
    const isHere = position === this.#position;
    const isEqual = isHere && digest.ram[0] === own;
    const differences = isEqual
      ? []
      : [isHere ? 'the state differs' : `it is at ${this.#position}`];
    this.#after(world.prng.between(1, 20), () => report({ type: 'compared', cutId, differences }));
    if (keep === undefined) return;
    const history = this.history as History;
    this.#after(world.prng.between(20, 200), () => {
      if (!isEqual || condition.spoolMs() === undefined) {
        report({ type: 'kept', cutId, problem: 'the store is full' });
        return;
      }
      this.#options.keep({ cutId, history, position, digest: own });
      report({ type: 'kept', cutId, snapshot: `snapshot-${cutId}` });
    });
  }

  #after(ms: number, act: () => void): void {
    this.#options.world.after(ms, act, this);
  }
}
