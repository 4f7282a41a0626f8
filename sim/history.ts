/**
 * What really happened to one line of machines: the truth that checkers compare with.
 *
 * A history belongs to a recording machine. A takeover continues a copy of it, cut off where the
 * copy of the machine stood; a reboot begins a new one. The system under test never reads it.
 */
import {
  type DiskWrite,
  digestOf,
  type GuestEvent,
  type GuestOutput,
  type GuestState,
} from './guest.ts';

export interface RecordedOutput extends GuestOutput {
  /**
   * End of the event that led to it, in the log of its recording; below 0: an earlier recording.
   */
  readonly position: number;
}

/** A machine at a marker, as others see it. */
export interface LineFacts {
  /** End of the marker's event. */
  readonly position: number;
  /** Its last word, and the last one that it heard of each member (`wordNumber`). */
  readonly said: number;
  readonly heard: readonly number[];
}

/** Words of all power-ons of a machine in one order. `count`: words since that power-on. */
export const wordNumber = (boot: number, count: number): number => boot * 10_000_000 + count;

export class History {
  /** Counts the power-ons of the guest. */
  readonly boot: number;
  /** Positions in the present recording, and the state's digest there. */
  readonly #positions: number[] = [0];
  readonly #digests: number[] = [];
  /** Of the same guest at a position where it was stopped, once it has gone on from there. */
  readonly #goneOn = new Map<number, number[]>();
  readonly outputs: RecordedOutput[];
  /** Completed requests, in order, over all recordings since the boot. */
  readonly completions: DiskWrite[];
  readonly #issued: Map<number, number>;
  /** What had been said and heard at each marker, in a group. */
  readonly #lines = new Map<number, LineFacts>();
  /** The position of the guest's own shutdown. */
  shutdownAt: number | undefined;

  private constructor(
    boot: number,
    initialDigest: number,
    outputs: RecordedOutput[],
    completions: DiskWrite[],
    issued: Map<number, number>,
  ) {
    this.boot = boot;
    this.#digests.push(initialDigest);
    this.outputs = outputs;
    this.completions = completions;
    this.#issued = issued;
  }

  static ofBoot(boot: number, state: GuestState): History {
    return new History(boot, digestOf(state), [], [], new Map());
  }

  /** The history of a successor that goes on from `state`, which its copy had at `position`. */
  continuedAt(state: GuestState): History {
    const outputs = this.outputs.slice(0, state.outputs).map((output) => at(-1, output));
    const completions = this.completions.slice(0, state.completed);
    return new History(this.boot, digestOf(state), outputs, completions, new Map(this.#issued));
  }

  recorded(
    position: number,
    event: GuestEvent,
    state: GuestState,
    output: GuestOutput | undefined,
    write: DiskWrite | undefined,
  ): void {
    this.#positions.push(position);
    this.#digests.push(digestOf(state));
    if (output !== undefined) this.outputs.push(at(position, output));
    if (write !== undefined) this.#issued.set(write.id, write.value);
    if (event.kind === 'block') {
      this.completions.push({ id: event.id, value: this.#issued.get(event.id) ?? 0 });
    }
    if (event.kind === 'shutdown') this.shutdownAt = position;
    if (event.kind === 'marker' && state.heard.length > 0) {
      const said = wordNumber(this.boot, state.outputs);
      this.#lines.set(event.epoch, { position, said, heard: [...state.heard] });
    }
  }

  /** The machine when it is executed to the end of an epoch; `undefined`: there is none such. */
  lineAt(epoch: number): LineFacts | undefined {
    return this.#lines.get(epoch);
  }

  /** End of what was recorded. */
  get end(): number {
    return this.#positions.at(-1) ?? 0;
  }

  /** The guest was stopped at the end of what was recorded, and goes on with this state. */
  wentOn(position: number, state: GuestState): void {
    const after = this.#goneOn.get(position) ?? [];
    after.push(digestOf(state));
    this.#goneOn.set(position, after);
  }

  /** The digests that the state had at a position, in their order; none inside of an event. */
  digestsAt(position: number): readonly number[] {
    const first = this.#digestAt(position);
    return first === undefined ? [] : [first, ...(this.#goneOn.get(position) ?? [])];
  }

  #digestAt(position: number): number | undefined {
    let [low, high] = [0, this.#positions.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#positions[middle] as number;
      if (found === position) return this.#digests[middle];
      if (found < position) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }
}

/** Word by word: a spread here gives each output a shape of its own, and all readers a slow one. */
function at(position: number, { index, value, completed }: GuestOutput): RecordedOutput {
  return { index, value, completed, position };
}
