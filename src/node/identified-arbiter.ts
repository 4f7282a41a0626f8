/**
 * The arbiter as a node believes it: only while it is the one that the node knows
 * (src/core/known-arbiter.ts, which decides). What it decides against is an error here.
 *
 * Contract
 *  1. The first identity, who claims, and that the node took part are on the disk before anything
 *     is told or claimed by it. A newer term is remembered a moment later, when a takeover has had
 *     the disk for itself: who loses it has lost a warning.
 *  2. What may be mended while the node waits has `mayPass`: a directory that is not mounted, a
 *     pair that is not set up yet, a peer with another arbiter.
 */
import { NeverSetUp } from '../arbiter/identity.ts';
import { UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import {
  afterMeeting,
  afterWin,
  type Belief,
  type Believer,
  judgeExpected,
  judgeSight,
  type KnownArbiter,
} from '../core/known-arbiter.ts';
import type {
  Arbiter,
  ArbiterState,
  ArbiterWithIdentity,
  CompareAndSetResult,
} from '../ports/arbiter.ts';
import type { Hello } from '../ports/link.ts';

/** Where a node remembers its arbiter. */
export interface ArbiterMemory {
  /** For people: where it is kept. */
  readonly place: string;
  /** What the disk has. */
  readonly known: KnownArbiter | undefined;
  /** One after the other. Durable when it resolves. Rejects with `UnderstudyError`. */
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
  /** @default limits.arbiterSaveAfterMs */
  readonly saveAfterMs?: number;
}

type Disbelief = Exclude<Belief, { type: 'believed' }>;

export class IdentifiedArbiter implements Arbiter {
  readonly #options: IdentifiedArbiterOptions;
  /** What the peer said when it refused this node for its arbiter. */
  #difference: string | undefined;
  /** What the disk is to be told, or is being told; until it has it, or has refused. */
  #present: KnownArbiter | undefined;
  #later: NodeJS.Timeout | undefined;
  /** Of what others have to wait for, too. */
  #urgent: Promise<void> = Promise.resolve();

  constructor(options: IdentifiedArbiterOptions) {
    this.#options = options;
  }

  /** What the peer is told; `undefined`: none was seen yet. */
  get identity(): string | undefined {
    return this.#options.memory.known?.identity;
  }

  async read(): Promise<ArbiterState | undefined> {
    const { identity, state } = await this.#options.inner.look();
    const belief = judgeSight({ identity, state }, this.#believer);
    if (belief.type === 'believed' || belief.type === 'differs') await this.#remember(belief.known);
    if (belief.type !== 'believed') throw this.#error(belief);
    return state;
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    const belief = judgeExpected(expected, this.#believer);
    if (belief.type !== 'believed') throw this.#error(belief);
    await this.#remember(belief.known);
    const result = await this.#options.inner.compareAndSet(expected, next);
    if (result.won) await this.#remember(afterWin(belief.known, next.term));
    return result;
  }

  /** There is a link: both know the same arbiter, as far as they know one. */
  async met(hello: Hello): Promise<void> {
    this.#difference = undefined;
    const known = afterMeeting(this.#known, hello);
    if (known !== undefined) await this.#remember(known);
  }

  /** The peer was asked for a link, and the two know different arbiters. */
  differs(difference: string): void {
    this.#difference = difference;
  }

  get #known(): KnownArbiter | undefined {
    return this.#present ?? this.#options.memory.known;
  }

  get #believer(): Believer {
    const { holder, hasSpoken } = this.#options;
    return { known: this.#known, holder, hasSpoken, differs: this.#difference !== undefined };
  }

  /** Waits for the disk where what is told or claimed next depends on it (1). */
  async #remember(known: KnownArbiter): Promise<void> {
    const before = this.#known;
    const isUrgent =
      before?.identity !== known.identity ||
      before.tookPart !== known.tookPart ||
      before.claimed !== known.claimed;
    if (isUrgent || before.seen !== known.seen) this.#present = known;
    if (isUrgent) {
      const saved = this.#save(known);
      this.#urgent = saved;
      saved.catch(() => {
        if (this.#urgent === saved) this.#urgent = Promise.resolve();
      });
    } else if (this.#present !== undefined) this.#saveLater();
    await this.#urgent;
  }

  /** One that fails is tried again by the next question. */
  async #save(known: KnownArbiter): Promise<void> {
    try {
      await this.#options.memory.save(known);
    } finally {
      if (this.#present === known) this.#present = undefined;
    }
  }

  #saveLater(): void {
    if (this.#later !== undefined) return;
    const { saveAfterMs = limits.arbiterSaveAfterMs } = this.#options;
    this.#later = setTimeout(() => {
      this.#later = undefined;
      if (this.#present !== undefined) this.#save(this.#present).catch(() => undefined);
    }, saveAfterMs);
    this.#later.unref();
  }

  #error(why: Disbelief): UnderstudyError {
    switch (why.type) {
      case 'neverSetUp':
        return new NeverSetUp(this.#options.name, this.#options.pairFile);
      case 'empty':
        return this.#empty(why.known);
      case 'another':
        return this.#another(why.known, why.identity);
      case 'differs':
        return twoArbiters(this.#difference ?? 'the peer knows another one');
      case 'stranger':
        return this.#stranger(why.term);
    }
  }

  #empty({ identity }: KnownArbiter): UnderstudyError {
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

  #stranger(term: number): UnderstudyError {
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

const twoArbiters = (difference: string): UnderstudyError =>
  new UnderstudyError('arbiter', `The two nodes have two arbiters: ${difference}`, {
    hint: 'Name the same arbiter in the pair file of both nodes.',
    mayPass: true,
  });
