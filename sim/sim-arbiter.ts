/**
 * A linearizable arbiter behind a bad network: slow, away, or silent about what it did. It can be
 * set back, and a node can look at a place that holds nothing instead.
 * Obeys the contract in src/ports/arbiter.ts, with callbacks in simulated time for promises.
 */
import { type Term, term as toTerm } from '../src/base/units.ts';
import {
  type ArbiterSight,
  type ArbiterState,
  type CompareAndSetResult,
  sameState,
} from '../src/ports/arbiter.ts';
import type { World } from './world.ts';

export type ArbiterReply<T> = (reply: T | 'unreachable') => void;

export interface ArbiterTemper {
  /** Whether this node reaches the arbiter now. */
  reaches(node: string): boolean;
  /** What this node reaches was never set up: a directory that is not mounted, an empty server. */
  isEmptyFor(node: string): boolean;
  delayMs(): number;
  losesReply(): boolean;
}

/** How long a client waits for an answer. */
const giveUpMs = 500;

interface Store {
  readonly identity: string | undefined;
  state: ArbiterState | undefined;
}

export class SimArbiter {
  readonly #world: World;
  readonly #temper: ArbiterTemper;
  readonly #store: Store = { identity: 'arbiter', state: undefined };
  readonly #empty: Store = { identity: undefined, state: undefined };
  /** Whether what was never set up gives no terms. */
  readonly #needsIdentity: boolean;
  /** All states that it had, in their order. */
  readonly #states: (ArbiterState | undefined)[] = [undefined];
  /** Who was given which term: the truth that the checkers judge by. */
  readonly given = new Map<number, string>();
  /** Terms that nobody may speak in. */
  readonly unproven = new Set<number>();

  constructor(world: World, temper: ArbiterTemper, needsIdentity = true) {
    this.#world = world;
    this.#temper = temper;
    this.#needsIdentity = needsIdentity;
  }

  /** The true one, which it has unless it was set back. */
  get state(): ArbiterState | undefined {
    return this.#states.at(-1);
  }

  get term(): Term {
    return this.state?.term ?? toTerm(0);
  }

  get isSetBack(): boolean {
    return !sameState(this.#store.state, this.state);
  }

  reaches(node: string): boolean {
    return this.#temper.reaches(node);
  }

  /** It has the state of so many terms ago, until the returned function is called. */
  setBack(by: number): () => void {
    const state = this.#states.at(-1 - by);
    this.#store.state = state;
    this.#world.say('arbiter', `is set back to ${state === undefined ? 'no term' : state.term}`);
    return () => {
      if (sameState(this.#store.state, state)) this.#store.state = this.state;
    };
  }

  /** Somebody who is no node of the pair has won the next term. */
  giveTo(holder: string): void {
    this.#give(this.#store, { term: toTerm(this.term + 1), holder });
  }

  look(node: string, reply: ArbiterReply<ArbiterSight>): void {
    this.#ask(node, ({ identity, state }) => ({ identity, state }), reply);
  }

  compareAndSet(
    node: string,
    expected: ArbiterState | undefined,
    next: ArbiterState,
    reply: ArbiterReply<CompareAndSetResult>,
  ): void {
    this.#ask(node, (store) => this.#set(store, expected, next), reply);
  }

  #set(
    store: Store,
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): CompareAndSetResult | 'unreachable' {
    if (store.identity === undefined && this.#needsIdentity) return 'unreachable';
    if (!sameState(store.state, expected)) return { won: false, current: store.state };
    if (next.term !== (expected?.term ?? 0) + 1) throw new Error('a term must follow the last one');
    this.#give(store, next);
    return { won: true };
  }

  #give(store: Store, next: ArbiterState): void {
    store.state = next;
    if (store !== this.#store) return;
    this.#states.push(next);
    this.given.set(next.term, next.holder);
    if (next.unproven) this.unproven.add(next.term);
    const how = next.unproven ? ', unproven' : '';
    this.#world.say('arbiter', `term ${next.term} goes to ${next.holder}${how}`);
  }

  #ask<T>(node: string, act: (store: Store) => T | 'unreachable', reply: ArbiterReply<T>): void {
    const temper = this.#temper;
    const world = this.#world;
    let answered = false;
    const answer = (value: T | 'unreachable'): void => {
      if (answered) return;
      answered = true;
      reply(value);
    };
    world.after(giveUpMs, () => answer('unreachable'));
    if (!temper.reaches(node)) {
      world.struck('arbiter unreachable');
      return;
    }
    world.after(temper.delayMs(), () => {
      const result = act(temper.isEmptyFor(node) ? this.#empty : this.#store);
      if (temper.losesReply()) {
        world.struck('arbiter reply lost');
        return;
      }
      world.after(temper.delayMs(), () => {
        if (temper.reaches(node)) answer(result);
      });
    });
  }
}
