/**
 * What a simulated node knows of its arbiter, as src/node/own-arbiter.ts does in earnest: it asks
 * it, believes it as src/core/known-arbiter.ts says, and remembers that over its lives.
 */
import { type Term, term as toTerm } from '../src/base/units.ts';
import type { NodeEffect, NodeEvent } from '../src/core/effects.ts';
import {
  afterMeeting,
  afterWin,
  type Belief,
  type Believer,
  type KnownArbiter,
} from '../src/core/known-arbiter.ts';
import type { Standing } from '../src/ports/link.ts';
import type { SimHello } from './messages.ts';
import type { SimProcess } from './process.ts';
import type { Surroundings } from './surroundings.ts';

type Question = Extract<NodeEffect, { type: 'readArbiter' | 'compareAndSet' }>;

export interface OwnArbiterOptions {
  readonly process: SimProcess;
  readonly around: Surroundings;
  readonly spoken: () => Term;
  readonly tell: (event: NodeEvent) => void;
}

export class SimOwnArbiter {
  readonly #options: OwnArbiterOptions;
  /** Durable, at once. */
  #known: KnownArbiter | undefined;
  /** What is wrong with it, as people see it. */
  concern: string | undefined;

  constructor(options: OwnArbiterOptions) {
    this.#options = options;
  }

  /** The newest term that this node has seen, in any life. */
  get seen(): Term {
    return this.#known?.seen ?? toTerm(0);
  }

  /** What a hello says of it. */
  get said(): Pick<SimHello, 'arbiter'> {
    return this.#known === undefined ? {} : { arbiter: this.#known.identity };
  }

  met(hello: SimHello): void {
    this.#known = afterMeeting(this.#known, hello);
  }

  /** The disk is lost. */
  forget(): void {
    this.#known = undefined;
  }

  /** People look at this node. */
  judge(role: Standing['role']): void {
    const { process, around } = this.#options;
    const { judge, arbiter, world } = around;
    const isWell = role === 'none' || arbiter.reaches(process.name);
    if (isWell || this.concern !== undefined) return;
    judge.unwarned({ atMs: world.now, holder: process.holder });
  }

  ask(effect: Question): void {
    if (effect.type === 'readArbiter') this.#read(effect.ask);
    else this.#compareAndSet(effect);
  }

  #read(ask: number): void {
    const { process, around, tell } = this.#options;
    const { arbiter, seams } = around;
    const back = process.inThisLife((act: () => void) => act());
    arbiter.look(process.name, (sight) =>
      back(() => {
        if (sight === 'unreachable') {
          tell(failed(ask, 'no answer'));
          return;
        }
        const belief = seams.judgeSight(sight, this.#believer);
        if (this.#believes(ask, belief)) tell({ type: 'arbiterRead', ask, state: sight.state });
      }),
    );
  }

  #compareAndSet({ ask, expected, next }: Extract<Question, { type: 'compareAndSet' }>): void {
    const { process, around, tell } = this.#options;
    const { arbiter, seams } = around;
    const back = process.inThisLife((act: () => void) => act());
    if (!this.#believes(ask, seams.judgeExpected(expected, this.#believer))) return;
    arbiter.compareAndSet(process.name, expected, next, (result) =>
      back(() => {
        if (result === 'unreachable') {
          tell(failed(ask, 'no answer'));
          return;
        }
        if (result.won && this.#known !== undefined) {
          this.#known = afterWin(this.#known, next.term);
        }
        tell({ type: 'arbiterSet', ask, result });
      }),
    );
  }

  get #believer(): Believer {
    const { process, spoken } = this.#options;
    const { holder } = process;
    return { known: this.#known, holder, hasSpoken: spoken() > 0, differs: false };
  }

  /** Says so if it does not. */
  #believes(ask: number, belief: Belief): boolean {
    const { process, tell } = this.#options;
    if (belief.type === 'believed') {
      this.#known = belief.known;
      return true;
    }
    // Not before what is being done is done.
    process.later(0, () => tell(failed(ask, belief.type, belief.type !== 'stranger')));
    return false;
  }
}

const failed = (ask: number, reason: string, mayPass = true): NodeEvent => ({
  ...{ type: 'arbiterFailed', ask, reason, mayPass },
});
