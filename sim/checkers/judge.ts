/** All checkers together: each fact goes to those that hear of it, in one order. */
import type { Answer } from '../../src/core/effects.ts';
import type { SimArbiter } from '../sim-arbiter.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { Answers, type Asked } from './answers.ts';
import { Bounds } from './bounds.ts';
import { Concerns } from './concerns.ts';
import { Cuts } from './cuts.ts';
import type {
  Acknowledged,
  Booted,
  Checker,
  GaveUp,
  KeptFact,
  Released,
  Sizes,
  TookOver,
  Unwarned,
} from './facts.ts';
import { Lockstep } from './lockstep.ts';
import { OneSpeaker } from './one-speaker.ts';
import { Onlooker } from './onlooker.ts';
import { OutputRule } from './output-rule.ts';

/** A checker that is told this fact. */
type Hearing<Fact extends keyof Checker> = Required<Pick<Checker, Fact>>;

export class Judge {
  readonly oneSpeaker: OneSpeaker;
  readonly onlooker = new Onlooker();
  takeovers = 0;
  boots = 0;
  kepts = 0;
  readonly answers = new Answers();
  readonly #on: { readonly [Fact in keyof Checker]-?: readonly Hearing<Fact>[] };

  /** `others`: from outside of the pair. */
  constructor(arbiter: SimArbiter, others: readonly Checker[] = []) {
    this.oneSpeaker = new OneSpeaker(arbiter);
    const checkers: readonly Checker[] = [
      this.oneSpeaker,
      new OutputRule(),
      new Acknowledgements(),
      new Lockstep(),
      this.onlooker,
      new Bounds(),
      new Cuts(),
      new Concerns(),
      ...others,
    ];
    const hearing = <Fact extends keyof Checker>(fact: Fact): Hearing<Fact>[] =>
      checkers.filter((checker): checker is Hearing<Fact> => checker[fact] !== undefined);
    this.#on = {
      released: hearing('released'),
      acknowledged: hearing('acknowledged'),
      tookOver: hearing('tookOver'),
      booted: hearing('booted'),
      gaveUp: hearing('gaveUp'),
      kept: hearing('kept'),
      sizes: hearing('sizes'),
      unwarned: hearing('unwarned'),
    };
  }

  released(fact: Released): void {
    for (const checker of this.#on.released) checker.released(fact);
  }

  acknowledged(fact: Acknowledged): void {
    for (const checker of this.#on.acknowledged) checker.acknowledged(fact);
  }

  tookOver(fact: TookOver): void {
    this.takeovers += 1;
    for (const checker of this.#on.tookOver) checker.tookOver(fact);
  }

  booted(fact: Booted): void {
    this.boots += 1;
    for (const checker of this.#on.booted) checker.booted(fact);
  }

  gaveUp(fact: GaveUp): void {
    for (const checker of this.#on.gaveUp) checker.gaveUp(fact);
  }

  kept(fact: KeptFact): void {
    this.kepts += 1;
    for (const checker of this.#on.kept) checker.kept(fact);
  }

  /** Somebody asks a node for something; the number is for the answer. */
  asked(asked: Asked): number {
    return this.answers.asked(asked);
  }

  answered(ask: number, answer: Answer): void {
    this.answers.answered(ask, answer);
  }

  /** A process has ended: whoever asked it knows. */
  ended(holder: string): void {
    this.answers.ended(holder);
  }

  unwarned(fact: Unwarned): void {
    for (const checker of this.#on.unwarned) checker.unwarned(fact);
  }

  sizes(fact: Sizes): void {
    for (const checker of this.#on.sizes) checker.sizes(fact);
  }
}
