/**
 * A running machine: a guest, its disk, the devices that surprise it, and the log of all that. It
 * keeps the contract of src/ports/machine.ts.
 *
 * Like QEMU's recorder, it executes first, writes the event into a buffer, and the buffer reaches
 * the log file only when a marker pushes it out or when it is full (src/base/limits.ts,
 * `markerFrameBytes`). Outputs reach the gate at once: that is what the output rule is for. A guest
 * that was stopped and goes on is another one than a guest that was not (docs/lockstep.md, R5).
 */
import { limits } from '../src/base/limits.ts';
import { type Epoch, epoch, icount, logPosition, type Term } from '../src/base/units.ts';
import type { Control, LinkMessage } from '../src/ports/link.ts';
import type {
  CutOrder,
  MachineReport,
  ProtectedMachine,
  RecordedRun,
  Seeding,
} from '../src/ports/machine.ts';
import type { SimDisk } from './disk.ts';
import {
  cloneGuest,
  type DiskWrite,
  eventBytes,
  execute,
  type GuestEvent,
  type GuestState,
  goOn,
  type HeardWord,
} from './guest.ts';
import type { History } from './history.ts';
import type { MachineImage } from './image.ts';
import { noBytes, type SimBlob, type SimLog } from './messages.ts';
import type { ConnectionEnd } from './network.ts';
import type { Condition } from './settings.ts';
import type { Doer, World } from './world.ts';

export interface SimRun extends RecordedRun {
  readonly events: readonly GuestEvent[];
}

/** `index`: of an output. */
export type SimReport = MachineReport & { readonly index?: number };

export interface MachineOptions {
  readonly world: World;
  readonly disk: SimDisk;
  readonly state: GuestState;
  readonly history: History;
  readonly report: (report: SimReport) => void;
  readonly condition: Condition;
  /** The term that its node speaks in now. */
  readonly term: () => Term;
  /** The last step of a request: it is on the disk then. */
  readonly complete: (disk: SimDisk, write: DiskWrite) => void;
}

/** Events in QEMU's buffer before it is written out by itself. */
const bufferEvents = 160;
/** Between two attempts to find a moment without a disk request. */
const cutRetryMs = 3;
const cutAttempts = 400;
/** Until a disk that fails is met again. */
const hurtAgainMs = 5;
const hurt: SimReport = { type: 'hurt', reason: 'a disk failed', stands: true };

export class SimMachine implements ProtectedMachine<ConnectionEnd>, Doer {
  readonly history: History;
  readonly state: GuestState;
  readonly disk: SimDisk;
  readonly #options: MachineOptions;
  #position = 0;
  #flushedTo = 0;
  #buffer: GuestEvent[] = [];
  #stands = false;
  /** Its disk fails, until somebody mends it; it stands until it is told to go on then. */
  #isBroken = false;
  #hasFailed = false;
  #share = 0;
  #isDestroyed = false;
  /** Nothing happens in it any more. */
  #isOver = false;
  #waiting: (() => void)[] = [];
  readonly #cuts = new Map<string, Control>();

  constructor(options: MachineOptions) {
    this.#options = options;
    this.history = options.history;
    this.state = options.state;
    this.disk = options.disk;
    // A takeover has performed what was under way; the guest still has to be told.
    for (const { id } of this.state.pending) {
      this.#after(0, () => this.#whenRunning(() => this.#take({ kind: 'block', id })));
    }
    this.#live();
  }

  sendMarker(number: Epoch): void {
    this.#after(this.#options.world.prng.below(20) / 10, () => {
      this.#whenRunning(() => this.#take({ kind: 'marker', epoch: number }));
    });
  }

  slowDown(share: number): void {
    this.#share = share;
    this.#wake();
  }

  stop(): void {
    const { condition } = this.#options;
    this.#after(0.1, () => {
      this.#flush();
      if (condition.stopFails()) {
        if (!this.#hasFailed) this.#goOn();
        this.#report({ type: 'notStopped', reason: 'its monitor does not answer' });
        return;
      }
      this.#stands = true;
      this.#report({ type: 'stopped', logEnd: logPosition(this.#position) });
    });
  }

  go(): void {
    this.#after(0.1, () => {
      if (this.#options.condition.goFails()) {
        this.#report({ type: 'notContinued', reason: 'its monitor does not answer' });
        return;
      }
      if (this.#hasFailed) this.#goOnAlone();
      else this.#goOn();
      this.#stands = false;
      this.#report({ type: 'continued' });
      this.#wake();
    });
  }

  seed(seedId: string, end: ConnectionEnd): Seeding {
    const say = (control: Control): void =>
      end.send({ kind: 'control', term: this.#options.term(), control });
    const nothing = { seedId, ramBytes: 0, disks: [] };
    say({ type: 'seedBegin', ...nothing });
    let isBegun = false;
    let isOver = false;
    const ended = (problem?: string): void => {
      if (!isOver) this.#report({ type: 'seedEnded', problem });
      isOver = true;
    };
    const watch = (): void => {
      if (end.isOpen) this.#after(limits.coreTimerMs, watch);
      else ended('the link closed');
    };
    watch();
    const whenQuiet = (image: MachineImage): void => {
      const position = logPosition(image.position);
      this.#report({ type: 'seedCut', position });
      say({
        type: 'seedOffer',
        ...nothing,
        deviceStateBytes: 0,
        logPosition: position,
        icount: icount(0),
      });
      const bulkMs = this.#options.world.prng.between(20, 200);
      const blob: SimBlob = {
        ...{ kind: 'blob', term: this.#options.term(), stream: 0, offset: 0, last: true },
        ...{ payload: noBytes, image },
      };
      end.send(blob, bulkMs);
      this.#after(bulkMs, () => ended());
    };
    return {
      take: (message: LinkMessage): void => {
        if (message.kind !== 'control' || message.control.type !== 'seedHave' || isBegun) return;
        isBegun = true;
        this.#freeze(
          () => isOver,
          whenQuiet,
          () => ended('no valid cut could be made'),
        );
      },
    };
  }

  cut({ cutId, keep }: CutOrder): void {
    const whenQuiet = (image: MachineImage): void => {
      const { position } = image;
      const digest = image.history.digestsAt(position).at(-1) ?? 0;
      this.#cuts.set(cutId, {
        ...{ type: 'cut', cutId, position: logPosition(position), icount: icount(0) },
        ...{ deviceStateBytes: 0, digest: { ram: [digest] } },
        ...(keep === undefined ? {} : { keep }),
      });
      this.#report({ type: 'cutMade', cutId, position: logPosition(position) });
      const { world, condition } = this.#options;
      const problem = condition.cutFails() ? 'a request was in flight at the cut' : undefined;
      this.#after(world.prng.between(1, 30), () => {
        this.#report({ type: 'cutEnded', cutId, problem });
      });
    };
    const failed = (): void => this.#report({ type: 'cutEnded', cutId, problem: 'no valid cut' });
    this.#after(0.1, () => this.#freeze(() => false, whenQuiet, failed));
  }

  sendCut(cutId: string, end: ConnectionEnd): void {
    const control = this.#cuts.get(cutId);
    if (control === undefined) throw new Error(`there is no cut ${cutId}`);
    this.#cuts.delete(cutId);
    end.send({ kind: 'control', term: this.#options.term(), control });
  }

  destroy(): void {
    if (this.#isDestroyed) return;
    this.vanish();
    this.#options.report({ type: 'gone' });
  }

  /** Its process is gone: nobody is told. */
  vanish(): void {
    this.#isDestroyed = true;
    this.#isOver = true;
  }

  /** A fault: QEMU ends. */
  fail(): void {
    this.#report({ type: 'machineFailed', reason: 'QEMU ended' });
    this.#isOver = true;
  }

  /** A fault: it stands because its disk fails, and would again. */
  breakDown(): void {
    this.#isBroken = true;
    this.#hasFailed = true;
    this.#report(hurt);
  }

  /** Its disk works again. */
  mend(): void {
    this.#isBroken = false;
  }

  /** Something arrives from outside, perhaps a word of another machine. */
  hear(from?: HeardWord): void {
    const value = this.#options.world.prng.below(1 << 20);
    this.#whenRunning(() => this.#take({ kind: 'input', value, from }));
  }

  shutDown(): void {
    this.#whenRunning(() => {
      this.#take({ kind: 'shutdown' });
      this.#flush();
      this.#report({ type: 'poweredOff', logEnd: logPosition(this.#position) });
      this.#stands = true;
    });
  }

  /** A part of what is being written to its log. */
  tornLog(): Omit<SimLog, 'kind' | 'term'> {
    const events = [{ kind: 'input', value: 77 }] as const;
    const from = logPosition(this.#flushedTo);
    const to = logPosition(this.#flushedTo + eventBytes(events[0]));
    const nothing = { icount: icount(0), rawBytes: 0, codec: 0, payload: noBytes };
    return { from, to, events, torn: true, ...nothing };
  }

  /** Something happens in it. */
  run(act: () => void): void {
    if (!this.#isOver) act();
  }

  #report(report: SimReport): void {
    if (!this.#isOver) this.#options.report(report);
  }

  #after(ms: number, act: () => void): void {
    this.#options.world.after(ms, act, this);
  }

  #live(): void {
    const slowness = this.#share < 1 ? 1 / (1 - this.#share) : 1;
    this.#after(this.#options.world.prng.between(1, 9) * slowness, () => {
      if (!this.#isStanding) this.hear();
      this.#live();
    });
  }

  #whenRunning(act: () => void): void {
    if (this.#isOver) return;
    if (this.#isStanding) this.#waiting.push(act);
    else act();
  }

  #wake(): void {
    if (this.#isStanding) return;
    for (const act of this.#waiting.splice(0)) this.#whenRunning(act);
  }

  get #isStanding(): boolean {
    return this.#stands || this.#hasFailed || this.#share >= 1;
  }

  /** What failed is done anew: no copy does the same. */
  #goOnAlone(): void {
    if (this.#isBroken) {
      this.#after(hurtAgainMs, () => this.#report(hurt));
      return;
    }
    this.#hasFailed = false;
    goOn(this.state);
    this.history.wentOn(this.#position, this.state);
    this.#report({ type: 'healed' });
  }

  /** It was stopped here and goes on, without a cut: its copy has to do the same. */
  #goOn(): void {
    goOn(this.state);
    this.history.wentOn(this.#position, this.state);
    this.#report({ type: 'wentOn', position: logPosition(this.#position) });
  }

  /** Finds a moment without a disk request; each attempt that meets one is taken back. */
  #freeze(isOver: () => boolean, then: (image: MachineImage) => void, failed: () => void): void {
    const attempt = (left: number): void => {
      if (isOver()) return;
      this.#flush();
      if (this.state.pending.length === 0 && !this.state.off) {
        then(this.#image());
        return;
      }
      if (!this.state.off && !this.#stands && !this.#hasFailed) this.#goOn();
      if (left > 0) this.#after(cutRetryMs, () => attempt(left - 1));
      else failed();
    };
    attempt(cutAttempts);
  }

  #image(): MachineImage {
    const { state, disk, history } = this;
    return { state: cloneGuest(state), disk: disk.image(), position: this.#position, history };
  }

  #take(event: GuestEvent): void {
    const { output, write } = execute(this.state, event);
    this.#buffer.push(event);
    this.#position += eventBytes(event);
    this.history.recorded(this.#position, event, this.state, output, write);
    if (write !== undefined) this.#perform(write);
    if (output !== undefined) this.#report({ type: 'outputs', count: 1, index: output.index });
    if (event.kind === 'marker' || this.#buffer.length >= bufferEvents) this.#flush();
  }

  #perform(write: DiskWrite): void {
    this.#after(this.#options.condition.diskMs(), () => {
      this.#options.complete(this.disk, write);
      this.#whenRunning(() => this.#take({ kind: 'block', id: write.id }));
    });
  }

  #flush(): void {
    const events = this.#buffer;
    if (events.length === 0) return;
    const from = this.#flushedTo;
    this.#buffer = [];
    this.#flushedTo = this.#position;
    this.#report({ type: 'recorded', run: runOf(events, from, this.#position) });
  }
}

function runOf(events: readonly GuestEvent[], from: number, to: number): SimRun {
  const markers: RecordedRun['markers'][number][] = [];
  let position = from;
  for (const event of events) {
    if (event.kind === 'marker') {
      // The simulated guest's log grows as it works.
      const work = icount(position * limits.idleInstructionsPerMs);
      markers.push({ epoch: epoch(event.epoch), position: logPosition(position), icount: work });
    }
    position += eventBytes(event);
  }
  const bytes = to - from;
  return { from: logPosition(from), to: logPosition(to), bytes, markers, events };
}
