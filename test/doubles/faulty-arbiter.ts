/**
 * An arbiter seen over a bad network, for the simulator and for tests: any adapter, with faults of
 * what lies between it and its caller. The arbiter itself never lies; a fault that made one lie
 * (forget a term, give one twice) would be a broken arbiter, and nothing above could be right.
 *
 *   none           nothing
 *   slow           the question arrives late
 *   slowReply      the answer arrives late
 *   unreachable    the question never arrives
 *   replyLost      the arbiter acted, and the caller is told that it failed
 *   duplicate      the question arrives twice, and only the second answer comes back
 *   lateDuplicate  the question arrives again, just before the next one of this caller
 *
 * No clock and no randomness of its own: `nextFault` decides, `wait` passes the time.
 */
import { UnderstudyError } from '../../src/base/errors.ts';
import type {
  ArbiterSetUp,
  ArbiterSight,
  ArbiterState,
  ArbiterWithIdentity,
  CompareAndSetResult,
} from '../../src/ports/arbiter.ts';

export const arbiterFaults = [
  'none',
  'slow',
  'slowReply',
  'unreachable',
  'replyLost',
  'duplicate',
  'lateDuplicate',
] as const;

export type ArbiterFault = (typeof arbiterFaults)[number];

type Operation = 'read' | 'look' | 'setUp' | 'compareAndSet';

export interface FaultyArbiterOptions {
  /** What befalls the next operation. */
  readonly nextFault: (operation: Operation) => ArbiterFault;
  /** Passes the time of a slow operation, simulated or real. */
  readonly wait: () => Promise<void>;
}

export class FaultyArbiter implements ArbiterWithIdentity {
  readonly #inner: ArbiterWithIdentity;
  readonly #options: FaultyArbiterOptions;
  /** A duplicate that is still on its way. */
  #late: (() => Promise<unknown>) | undefined;

  constructor(inner: ArbiterWithIdentity, options: FaultyArbiterOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  read(): Promise<ArbiterState | undefined> {
    return this.#suffer('read', () => this.#inner.read());
  }

  look(): Promise<ArbiterSight> {
    return this.#suffer('look', () => this.#inner.look());
  }

  setUp(): Promise<ArbiterSetUp> {
    return this.#suffer('setUp', () => this.#inner.setUp());
  }

  compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    return this.#suffer('compareAndSet', () => this.#inner.compareAndSet(expected, next));
  }

  async #suffer<Answer>(operation: Operation, ask: () => Promise<Answer>): Promise<Answer> {
    const late = this.#late;
    this.#late = undefined;
    await late?.();
    const fault = this.#options.nextFault(operation);
    switch (fault) {
      case 'none':
        return ask();
      case 'slow':
        await this.#options.wait();
        return ask();
      case 'slowReply': {
        const answer = await ask();
        await this.#options.wait();
        return answer;
      }
      case 'unreachable':
        throw failure('The arbiter is unreachable');
      case 'replyLost':
        await ask();
        throw failure('The answer was lost');
      case 'duplicate':
        await ask();
        return ask();
      case 'lateDuplicate':
        this.#late = ask;
        return ask();
    }
  }
}

const failure = (what: string): UnderstudyError =>
  new UnderstudyError('arbiter', `${what} (a fault on purpose)`, { mayPass: true });

/** These faults in this order, then none. */
export function faultsInOrder(faults: readonly ArbiterFault[]): () => ArbiterFault {
  let at = 0;
  return () => faults[at++] ?? 'none';
}

/** One fault in `oneIn` operations, of equal shares; the same for the same seed. */
export function seededFaults(seed: number, oneIn: number): () => ArbiterFault {
  // mulberry32: a small integer generator whose sequence is the same everywhere.
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
  return () => {
    if (random(oneIn) !== 0) return 'none';
    return arbiterFaults[1 + random(arbiterFaults.length - 1)] ?? 'none';
  };
}
