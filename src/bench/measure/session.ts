/**
 * One run of the benchmark: its world, what was measured so far, and how far it is.
 *
 * A part that fails is a gap in the report, not the end of the run: figures of an hour are not
 * thrown away for one of them.
 */
import { asError } from '../../base/errors.ts';
import type { World } from '../../lab/world.ts';
import { type Arrangement, noSamples } from '../results.ts';
import { type Guest, type GuestOptions, type PairGuest, startGuest, startPair } from './guest.ts';
import { NodeFigures } from './node-figures.ts';

export interface SessionOptions {
  readonly world: World;
  readonly memoryBytes: number;
  /** Milliseconds that the whole run takes, for the time left. */
  readonly expectedMs: number;
  /** Something happened: a line for people. */
  readonly tell: (text: string) => void;
  readonly status: (text: string) => void;
}

export class Session {
  readonly world: World;
  readonly memoryBytes: number;
  readonly tell: (text: string) => void;
  readonly results = noSamples();
  readonly #status: (text: string) => void;
  readonly #begunAt = performance.now();
  readonly #expectedMs: number;

  constructor(options: SessionOptions) {
    this.world = options.world;
    this.memoryBytes = options.memoryBytes;
    this.tell = options.tell;
    this.#status = options.status;
    this.#expectedMs = options.expectedMs;
  }

  get tookMs(): number {
    return performance.now() - this.#begunAt;
  }

  status(text: string): void {
    const leftS = Math.round((this.#expectedMs - this.tookMs) / 1000);
    const left = leftS > 90 ? `some ${Math.round(leftS / 60)} min left` : `some ${leftS} s left`;
    this.#status(leftS > 0 ? `${text} (${left})` : `${text} (longer than expected)`);
  }

  /** Says that something is not in the results, and why. */
  gap(what: string, why: string): void {
    this.results.gaps.push({ what, why });
  }

  /** Does something with a guest in an arrangement, which ends with it. */
  async withGuest<Result>(
    arrangement: Arrangement,
    options: Partial<GuestOptions>,
    work: (guest: Guest) => Promise<Result>,
  ): Promise<Result> {
    this.status(`starting the guest in arrangement ${arrangement}`);
    const { world, memoryBytes } = this;
    const guest = await startGuest(arrangement, { world, memoryBytes, ...options });
    try {
      return await work(guest);
    } finally {
      await guest.close();
    }
  }

  /** The same with a pair, whose nodes are listened to. */
  async withPair(
    options: Partial<GuestOptions>,
    work: (guest: PairGuest, figures: NodeFigures) => Promise<void>,
  ): Promise<void> {
    this.status('starting a pair');
    const { world, memoryBytes } = this;
    const guest = await startPair({ world, memoryBytes, ...options });
    const figures = new NodeFigures(guest);
    try {
      await work(guest, figures);
    } finally {
      figures.close();
      await guest.close();
    }
  }

  /** Does a part of the run; what fails is a gap. */
  async part(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const { message, cause } = asError(thrown);
      const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
      this.gap(what, why.slice(0, 500));
      this.tell(`not measured: ${what}: ${why.slice(0, 200)}`);
    }
  }
}
