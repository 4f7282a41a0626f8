/**
 * The last term that this node's machine spoke in, as it is on its disk: it is there before
 * anything is said in it. A disk that does not take it is asked again until it does.
 */
import { limits } from '../base/limits.ts';
import type { Millis, Term } from '../base/units.ts';
import type { Emit, NodeEvent } from './effects.ts';

type Noted = Extract<NodeEvent, { type: 'remembered' | 'notRemembered' }>;

interface Remembering {
  readonly term: Term;
  readonly then: (now: Millis) => void;
  /** When a disk that refused is asked again. */
  againAt: number;
}

export class SpokenTerms {
  readonly #emit: Emit;
  #last: Term;
  #remembering: Remembering | undefined;

  /** `last`: what the disk has; 0: none. */
  constructor(last: Term, emit: Emit) {
    this.#last = last;
    this.#emit = emit;
  }

  /** What the disk is known to have. */
  get last(): Term {
    return this.#last;
  }

  /** Calls `then` once the disk has it. */
  remember(term: Term, then: (now: Millis) => void): void {
    this.#remembering = { term, then, againAt: Number.POSITIVE_INFINITY };
    this.#emit({ type: 'remember', term });
  }

  /** Nobody waits for it any more. */
  forget(): void {
    this.#remembering = undefined;
  }

  timer(now: Millis): void {
    const remembering = this.#remembering;
    if (remembering === undefined || now < remembering.againAt) return;
    remembering.againAt = Number.POSITIVE_INFINITY;
    this.#emit({ type: 'remember', term: remembering.term });
  }

  take(event: Noted, now: Millis): void {
    const remembering = this.#remembering;
    if (event.type === 'remembered') this.#last = event.term;
    if (remembering?.term !== event.term) return;
    if (event.type === 'notRemembered') {
      remembering.againAt = now + limits.rememberRetryMs;
      const { type, term, reason } = event;
      this.#emit({ type: 'noted', what: { type, term, reason } });
      return;
    }
    this.#remembering = undefined;
    remembering.then(now);
  }
}
