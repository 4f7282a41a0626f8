/**
 * The arbiter as a node believes it: only while it is the one that the node knows.
 *
 * Intuition: an arbiter that forgot everything gives term 1 to whoever asks, beside a machine that
 * runs. A directory that is not mounted, the same relative path on another host, a server that lost
 * its disk: each looks like a pair that is new. So an arbiter has an identity, which nobody makes
 * by accident, and a node remembers it.
 *
 * Contract
 *  1. A state is told only when the arbiter has the identity that this node knows. The first one
 *     seen is remembered, on the disk, before anything is told.
 *  2. A node that never took part in the pair may claim its first term only. With a later one given
 *     already it is of another pair with the same name, or one that lost its state directory. It
 *     takes part from when it wins a term, has spoken in one (`hasSpoken`), or has a link with a
 *     peer that took part and knows the same arbiter. The operator's `--start-anew` counts as well.
 *  3. A node whose peer knows another arbiter is told nothing and claims nothing, until the two
 *     agree.
 *  4. What may be mended while the node waits has `mayPass`: a directory that is not mounted, a
 *     pair that is not set up yet, a peer with another arbiter.
 */
import { UnderstudyError } from '../base/errors.ts';
import type {
  Arbiter,
  ArbiterState,
  ArbiterWithIdentity,
  CompareAndSetResult,
} from '../ports/arbiter.ts';
import type { Hello } from '../ports/link.ts';
import { NeverSetUp } from './identity.ts';

/** What a node remembers of its arbiter. */
export interface KnownArbiter {
  readonly identity: string;
  /** This node took part in the pair whose arbiter it is. */
  readonly tookPart: boolean;
}

/** Where it is remembered. */
export interface ArbiterMemory {
  /** For people: where it is kept. */
  readonly place: string;
  readonly known: KnownArbiter | undefined;
  /** Durable when it resolves. Rejects with `UnderstudyError`. */
  save(known: KnownArbiter): Promise<void>;
}

export interface IdentifiedArbiterOptions {
  readonly inner: ArbiterWithIdentity;
  /** As in "The arbiter in '/srv/web/arbiter'". */
  readonly name: string;
  readonly pairFile: string;
  readonly memory: ArbiterMemory;
  /** Of this life of the node. */
  readonly holder: string;
  /** It took part in earlier lives, or the operator says so. */
  readonly hasSpoken: boolean;
}

export class IdentifiedArbiter implements Arbiter {
  readonly #options: IdentifiedArbiterOptions;
  /** What the peer said when it refused this node for its arbiter. */
  #difference: string | undefined;

  constructor(options: IdentifiedArbiterOptions) {
    this.#options = options;
  }

  /** What the peer is told; `undefined`: none was seen yet. */
  get identity(): string | undefined {
    return this.#options.memory.known?.identity;
  }

  async read(): Promise<ArbiterState | undefined> {
    const { inner, memory, holder, hasSpoken } = this.#options;
    const { identity, state } = await inner.look();
    const known = memory.known;
    if (identity === undefined) throw known === undefined ? this.#neverSetUp() : this.#lost(known);
    if (known !== undefined && known.identity !== identity) throw this.#another(known, identity);
    // A claim whose answer was lost is found here.
    const tookPart = known?.tookPart === true || hasSpoken || state?.holder === holder;
    await this.#remember({ identity, tookPart });
    this.#refuseTwo();
    return state;
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    const { inner, memory } = this.#options;
    const known = memory.known;
    if (known === undefined) throw this.#neverSetUp();
    this.#refuseTwo();
    if (!known.tookPart && expected !== undefined) throw this.#stranger(expected);
    const result = await inner.compareAndSet(expected, next);
    if (result.won) await this.#remember({ ...known, tookPart: true });
    return result;
  }

  /** There is a link: both know the same arbiter, as far as they know one. */
  async met({ arbiter, standing }: Hello): Promise<void> {
    this.#difference = undefined;
    const { known } = this.#options.memory;
    const tookPart = standing !== undefined && (standing.role !== 'none' || standing.spoken > 0);
    if (known === undefined || arbiter !== known.identity || !tookPart) return;
    await this.#remember({ ...known, tookPart });
  }

  /** The peer was asked for a link, and the two know different arbiters. */
  differs(difference: string): void {
    this.#difference = difference;
  }

  #refuseTwo(): void {
    if (this.#difference === undefined) return;
    throw new UnderstudyError('arbiter', `The two nodes have two arbiters: ${this.#difference}`, {
      hint: 'Name the same arbiter in the pair file of both nodes.',
      mayPass: true,
    });
  }

  async #remember(known: KnownArbiter): Promise<void> {
    const { memory } = this.#options;
    const before = memory.known;
    if (before?.identity === known.identity && before.tookPart === known.tookPart) return;
    await memory.save(known);
  }

  #neverSetUp(): UnderstudyError {
    const { name, pairFile } = this.#options;
    return new NeverSetUp(name, pairFile);
  }

  #lost({ identity }: KnownArbiter): UnderstudyError {
    const { name, memory } = this.#options;
    return new UnderstudyError(
      'arbiter',
      `${name} is empty: this node knows the arbiter of the pair by the identity ${identity}`,
      {
        hint:
          'Check that it is mounted, and that both nodes name the same one. ' +
          `If it is lost for good, see docs/arbiters.md; the identity is kept in '${memory.place}'.`,
        mayPass: true,
      },
    );
  }

  #another(known: KnownArbiter, identity: string): UnderstudyError {
    const { name, memory } = this.#options;
    return new UnderstudyError(
      'arbiter',
      `${name} is another one: its identity is ${identity}, and this node knows the arbiter of ` +
        `the pair by ${known.identity}`,
      {
        hint:
          'Name the arbiter that it knows in the pair file. If that is lost for good, ' +
          `see docs/arbiters.md; the identity is kept in '${memory.place}'.`,
      },
    );
  }

  #stranger({ term }: ArbiterState): UnderstudyError {
    const { name } = this.#options;
    return new UnderstudyError(
      'arbiter',
      `${name} has given ${term} ${term === 1 ? 'term' : 'terms'}, and this node never took part`,
      {
        hint:
          'If another pair has this name there, give this one another name. If it is this pair, ' +
          'and its state directory was lost: start the other node first, or use --start-anew.',
      },
    );
  }
}
