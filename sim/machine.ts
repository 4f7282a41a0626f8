/**
 * A running machine: a guest, its disk, the devices that surprise it, and the log of all that.
 *
 * Like QEMU's recorder, it executes first, writes the event into a buffer, and the buffer reaches the
 * log file only when a marker pushes it out or when it is full (src/base/limits.ts,
 * `markerFrameBytes`). Outputs reach the gate at once: that is what the output rule is for.
 */
import type { SimDisk } from './disk.ts';
import {
  cloneGuest,
  type DiskWrite,
  eventBytes,
  execute,
  type GuestEvent,
  type GuestOutput,
  type GuestState,
} from './guest.ts';
import type { History } from './history.ts';
import type { World } from './world.ts';

/** A machine as it was at a cut. */
export interface MachineImage {
  readonly state: GuestState;
  readonly disk: readonly number[];
  readonly position: number;
  readonly history: History;
}

export interface LogSegment {
  readonly from: number;
  readonly to: number;
  readonly events: readonly GuestEvent[];
}

export interface MachineHandlers {
  readonly onOutput: (output: GuestOutput) => void;
  readonly onSegment: (segment: LogSegment) => void;
  /** The guest switched itself off, and QEMU ended. */
  readonly onOff: () => void;
}

export interface MachineOptions {
  readonly world: World;
  readonly disk: SimDisk;
  readonly state: GuestState;
  readonly history: History;
  readonly handlers: MachineHandlers;
  /** How long its disk takes for a request, in milliseconds. */
  readonly diskMs: () => number;
  /** The last step of a request: it is on the disk then. */
  readonly complete: (disk: SimDisk, write: DiskWrite) => void;
}

/** Events in QEMU's buffer before it is written out by itself. */
const bufferEvents = 160;

export class Machine {
  readonly history: History;
  readonly state: GuestState;
  readonly disk: SimDisk;
  readonly #options: MachineOptions;
  #position = 0;
  #flushedTo = 0;
  #buffer: GuestEvent[] = [];
  #stands = false;
  #destroyed = false;
  #waiting: (() => void)[] = [];

  constructor(options: MachineOptions) {
    this.#options = options;
    this.history = options.history;
    this.state = options.state;
    this.disk = options.disk;
    // A takeover has performed what was under way; the guest still has to be told.
    for (const { id } of this.state.pending) {
      this.#options.world.after(0, () =>
        this.#whenRunning(() => this.#take({ kind: 'block', id })),
      );
    }
    this.#live();
  }

  /** End of the log so far. A successor's log begins at 0 again. */
  get position(): number {
    return this.#position;
  }

  get isStanding(): boolean {
    return this.#stands;
  }

  sendMarker(epoch: number): void {
    this.#options.world.after(this.#options.world.prng.below(20) / 10, () => {
      this.#whenRunning(() => this.#take({ kind: 'marker', epoch }));
    });
  }

  shutDown(): void {
    this.#whenRunning(() => {
      this.#take({ kind: 'shutdown' });
      this.#flush();
      this.#destroyed = true;
      this.#options.handlers.onOff();
    });
  }

  /** Stops the guest and pushes its whole log out. */
  stop(): void {
    this.#stands = true;
    this.#flush();
  }

  /** The guest goes on, with what its devices did meanwhile. */
  go(): void {
    this.#stands = false;
    for (const act of this.#waiting.splice(0)) this.#whenRunning(act);
  }

  /** The state at this very moment, or `undefined` when a disk request is under way. */
  cut(): MachineImage | undefined {
    if (this.#destroyed || this.state.off || this.state.pending.length > 0) return undefined;
    this.#flush();
    return {
      state: cloneGuest(this.state),
      disk: this.disk.image(),
      position: this.#position,
      history: this.history,
    };
  }

  destroy(): void {
    this.#destroyed = true;
  }

  #live(): void {
    const { world } = this.#options;
    world.after(world.prng.between(1, 9), () => {
      if (this.#destroyed) return;
      if (!this.#stands) this.#take({ kind: 'input', value: world.prng.below(1 << 20) });
      this.#live();
    });
  }

  #whenRunning(act: () => void): void {
    if (this.#destroyed) return;
    if (this.#stands) this.#waiting.push(act);
    else act();
  }

  #take(event: GuestEvent): void {
    const { output, write } = execute(this.state, event);
    this.#buffer.push(event);
    this.#position += eventBytes(event);
    this.history.recorded(this.#position, event, this.state, output, write);
    if (write !== undefined) this.#perform(write);
    if (output !== undefined) this.#options.handlers.onOutput(output);
    if (event.kind === 'marker' || this.#buffer.length >= bufferEvents) this.#flush();
  }

  #perform(write: DiskWrite): void {
    this.#options.world.after(this.#options.diskMs(), () => {
      if (this.#destroyed) return;
      this.#options.complete(this.disk, write);
      this.#whenRunning(() => this.#take({ kind: 'block', id: write.id }));
    });
  }

  #flush(): void {
    if (this.#buffer.length === 0) return;
    const segment = { from: this.#flushedTo, to: this.#position, events: this.#buffer };
    this.#buffer = [];
    this.#flushedTo = this.#position;
    this.#options.handlers.onSegment(segment);
  }
}
