/**
 * What a node knows of its arbiter while it needs none: a pair that is protected asks it nothing,
 * and a takeover that has to wait for it is none.
 *
 * Contract
 *  1. A node with a machine or a copy, and no claim on its way, reads it every `arbiterLookMs`.
 *  2. Every question counts, whoever asked. One that failed, or that has waited for
 *     `arbiterSilentMs`, is a concern until the next answer.
 *  3. A newer term than the one that a primary asked with is heard of by it (terms.ts, 2): somebody
 *     else was told to go on with its machine, as a second process of one name can be.
 *  4. An older one, or its own term in another's name, is a concern: the arbiter was set back, or
 *     is another pair's. Nobody takes over by it (membership.ts, 5).
 *  5. The newest term that anybody spoke of is kept (`seen`). One that is won counts as it is: by
 *     the operator's word it may be claimed from a lower one.
 */
import { limits } from '../base/limits.ts';
import { oneLine } from '../base/text.ts';
import { type Millis, type Term, term as toTerm } from '../base/units.ts';
import type { ArbiterState } from '../ports/arbiter.ts';
import type { Emit, NodeEvent } from './effects.ts';

export interface ArbiterWatchOptions {
  /** This life of the node. */
  readonly holder: string;
  /** The newest term that it has seen, in any life; 0: none. */
  readonly seen: Term;
  /** Who the node is, while it has a machine or a copy. */
  readonly self: () => Onlooker | undefined;
  /** Gives each question a number of its own. */
  readonly nextAsk: () => number;
  readonly emit: Emit;
}

/** The node in the term that it is in. */
export interface Onlooker {
  readonly role: 'primary' | 'backup';
  readonly term: Term;
}

const waits =
  'Until it answers nobody can take over, nor go on without the other node; the pair goes on';

export class ArbiterWatch {
  readonly #options: ArbiterWatchOptions;
  /** When the oldest question was asked that has no answer. */
  #waitsSince: Millis | undefined;
  #look: { readonly ask: number; readonly by: Onlooker } | undefined;
  #lookAt = 0;
  #told: string | undefined;
  #seen: Term;

  constructor(options: ArbiterWatchOptions) {
    this.#options = options;
    this.#seen = options.seen;
  }

  get seen(): Term {
    return this.#seen;
  }

  won(term: Term): void {
    this.#seen = term;
  }

  /** A question to the arbiter is being sent. */
  asked(now: Millis): void {
    this.#waitsSince ??= now;
  }

  /** Time goes on. A node that waits for an answer anyway need not look. */
  timer(mayLook: boolean, now: Millis): void {
    const since = this.#waitsSince;
    // One that fails is asked again after a pause, which says less than what it failed with.
    const isNews = this.#told === undefined;
    if (isNews && since !== undefined && now - since >= limits.arbiterSilentMs) {
      this.#tell(`it has not answered for ${limits.arbiterSilentMs} ms. ${waits}`);
    }
    if (!mayLook || this.#look !== undefined || now < this.#lookAt) return;
    const { self, nextAsk } = this.#options;
    const by = self();
    if (by === undefined) return;
    const ask = nextAsk();
    this.#look = { ask, by };
    this.#options.emit({ type: 'readArbiter', ask });
  }

  /**
   * An answer, whoever asked, and whoever else speaks of a term. Returns the term that the primary
   * who looked has to hear of.
   */
  take(event: NodeEvent, now: Millis): Term | undefined {
    switch (event.type) {
      case 'dialled':
      case 'linkOpened':
        this.#see(event.hello?.term);
        return undefined;
      case 'arbiterFailed':
        this.#waitsSince = undefined;
        this.#lookAt = now + limits.arbiterLookAgainMs;
        if (event.ask === this.#look?.ask) this.#look = undefined;
        this.#tell(`${sentence(oneLine(event.reason))} ${waits}`);
        return undefined;
      case 'arbiterSet':
        this.#answered(now);
        this.#tell(undefined);
        return undefined;
      case 'arbiterRead': {
        this.#answered(now);
        this.#see(event.state?.term);
        const look = this.#look;
        if (event.ask !== look?.ask) {
          if (look === undefined) this.#tell(this.#mistakeIn(event.state, this.#options.self()));
          return undefined;
        }
        this.#look = undefined;
        this.#tell(this.#mistakeIn(event.state, look.by));
        const heard = event.state?.term ?? toTerm(0);
        return look.by.role === 'primary' && heard > look.by.term ? heard : undefined;
      }
      default:
        return undefined;
    }
  }

  #see(term = toTerm(0)): void {
    if (term > this.#seen) this.#seen = term;
  }

  #answered(now: Millis): void {
    this.#waitsSince = undefined;
    this.#lookAt = now + limits.arbiterLookMs;
  }

  /** What is wrong with what it says. */
  #mistakeIn(state: ArbiterState | undefined, by: Onlooker | undefined): string | undefined {
    if (by === undefined) return undefined;
    const { role, term } = by;
    const said = state === undefined ? 'no term' : `term ${state.term} of ${state.holder}`;
    const isOlder = (state?.term ?? 0) < term;
    const isOthers = role === 'primary' && state?.term === term && !this.#isOwn(state);
    if (!isOlder && !isOthers) return undefined;
    return (
      `it knows ${said}, and this node is ${role} in term ${term}: it was set back, or it is ` +
      `another one. Nobody can take over by it. Give both nodes the arbiter that they had`
    );
  }

  #isOwn({ holder }: ArbiterState): boolean {
    return holder === this.#options.holder;
  }

  #tell(problem: string | undefined): void {
    if (this.#told === problem) return;
    this.#told = problem;
    this.#options.emit({ type: 'concern', about: 'arbiter', problem });
  }
}

/** With a point at its end, if it has nothing there. */
const sentence = (text: string): string => (/[.?!]$/.test(text) ? text : `${text}.`);
