/** All checkers together: every fact goes to each of them. */
import type { SimArbiter } from '../sim-arbiter.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { Answers } from './answers.ts';
import { Bounds } from './bounds.ts';
import { Cuts } from './cuts.ts';
import type {
  Acknowledged,
  Booted,
  Checker,
  ClaimLost,
  KeptFact,
  Released,
  Sizes,
  TookOver,
} from './facts.ts';
import { Lockstep } from './lockstep.ts';
import { OneSpeaker } from './one-speaker.ts';
import { Onlooker } from './onlooker.ts';
import { OutputRule } from './output-rule.ts';

export class Judge {
  readonly oneSpeaker: OneSpeaker;
  readonly onlooker = new Onlooker();
  takeovers = 0;
  boots = 0;
  kepts = 0;
  readonly answers = new Answers();
  readonly #checkers: readonly Checker[];

  constructor(arbiter: SimArbiter) {
    this.oneSpeaker = new OneSpeaker(arbiter);
    this.#checkers = [
      this.oneSpeaker,
      new OutputRule(),
      new Acknowledgements(),
      new Lockstep(),
      this.onlooker,
      new Bounds(),
      new Cuts(),
    ];
  }

  released(fact: Released): void {
    for (const checker of this.#checkers) checker.released?.(fact);
  }

  acknowledged(fact: Acknowledged): void {
    for (const checker of this.#checkers) checker.acknowledged?.(fact);
  }

  tookOver(fact: TookOver): void {
    this.takeovers += 1;
    for (const checker of this.#checkers) checker.tookOver?.(fact);
  }

  booted(fact: Booted): void {
    this.boots += 1;
    for (const checker of this.#checkers) checker.booted?.(fact);
  }

  claimLost(fact: ClaimLost): void {
    for (const checker of this.#checkers) checker.claimLost?.(fact);
  }

  kept(fact: KeptFact): void {
    this.kepts += 1;
    for (const checker of this.#checkers) checker.kept?.(fact);
  }

  /** Somebody asks a node for something; the number is for the answer. */
  asked(node: string, holder: string, atMs: number): number {
    return this.answers.asked(node, holder, atMs);
  }

  answered(ask: number): void {
    this.answers.answered(ask);
  }

  /** A process has ended: whoever asked it knows. */
  ended(holder: string): void {
    this.answers.ended(holder);
  }

  sizes(fact: Sizes): void {
    for (const checker of this.#checkers) checker.sizes?.(fact);
  }
}
