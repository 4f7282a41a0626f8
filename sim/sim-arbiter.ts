/**
 * A linearizable arbiter behind a bad network: slow, away, or silent about what it did.
 * Obeys the contract in src/ports/arbiter.ts, with callbacks in simulated time for promises.
 */
import { type ArbiterState, type CompareAndSetResult, sameState } from '../src/ports/arbiter.ts';
import type { World } from './world.ts';

export type ArbiterReply<T> = (reply: T | 'unreachable') => void;

export interface ArbiterTemper {
  /** Whether this node reaches the arbiter now. */
  reaches(node: string): boolean;
  delayMs(): number;
  losesReply(): boolean;
}

/** How long a client waits for an answer. */
const giveUpMs = 500;

export class SimArbiter {
  readonly #world: World;
  readonly #temper: ArbiterTemper;
  #state: ArbiterState | undefined;
  /** Who was given which term: the truth that the checkers judge by. */
  readonly given = new Map<number, string>();
  /** Terms that nobody may speak in. */
  readonly unproven = new Set<number>();

  constructor(world: World, temper: ArbiterTemper) {
    this.#world = world;
    this.#temper = temper;
  }

  get state(): ArbiterState | undefined {
    return this.#state;
  }

  read(node: string, reply: ArbiterReply<ArbiterState | undefined>): void {
    this.#ask(node, () => this.#state, reply);
  }

  compareAndSet(
    node: string,
    expected: ArbiterState | undefined,
    next: ArbiterState,
    reply: ArbiterReply<CompareAndSetResult>,
  ): void {
    this.#ask(node, () => this.#set(expected, next), reply);
  }

  #set(expected: ArbiterState | undefined, next: ArbiterState): CompareAndSetResult {
    if (!sameState(this.#state, expected)) return { won: false, current: this.#state };
    if (next.term !== (expected?.term ?? 0) + 1) throw new Error('a term must follow the last one');
    this.#state = next;
    this.given.set(next.term, next.holder);
    if (next.unproven) this.unproven.add(next.term);
    const how = next.unproven ? ', unproven' : '';
    this.#world.say('arbiter', `term ${next.term} goes to ${next.holder}${how}`);
    return { won: true };
  }

  #ask<T>(node: string, act: () => T, reply: ArbiterReply<T>): void {
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
      const result = act();
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
