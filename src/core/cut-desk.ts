/**
 * Who wants cuts of a primary's machine (cuts.ts), and how each of them is answered: an operator
 * here, the backup for somebody there, the policy, which only people hear of, or the pair itself.
 */
import type { Millis, Term } from '../base/units.ts';
import type { CutResult, KeepRequest, Kept } from '../ports/link.ts';
import type { CutOrder } from '../ports/machine.ts';
import { type AnsweredCut, type CutOrigin, type Cuts, resultOf } from './cuts.ts';
import type { Answer, Emit, LinkId } from './effects.ts';

export interface CutDeskOptions {
  readonly cuts: Cuts;
  readonly term: () => Term;
  /** Of the primary: only a protected one makes cuts. */
  readonly state: () => string;
  readonly emit: Emit;
}

/** States of a primary that is protected soon. */
const passing = ['proving', 'claiming', 'seeding', 'granting'];

export class CutDesk {
  readonly #options: CutDeskOptions;
  #whyNotKept = '';

  constructor(options: CutDeskOptions) {
    this.#options = options;
  }

  /** An operator wants a compare, or a snapshot. */
  asked(ask: number, keep: KeepRequest | undefined): void {
    this.#want({ by: 'operator', ask }, keep);
  }

  /** The backup was asked for a snapshot. */
  requested(link: LinkId, requestId: string, label: string | undefined): void {
    this.#want({ by: 'backup', link, requestId }, { label });
  }

  timer(now: Millis): void {
    this.#options.cuts.timer(now, this.#isProtected);
  }

  /** The cut to be made now, if there is one. */
  next(): CutOrder | undefined {
    return this.#isProtected ? this.#options.cuts.next(this.#options.term()) : undefined;
  }

  ended(cutId: string, problem: string | undefined): void {
    this.#answer(this.#options.cuts.ended(cutId, problem));
  }

  /** What the copy found. */
  found(result: CutResult): void {
    const { equal, differences } = result;
    this.#options.emit({ type: 'noted', what: { type: 'cutCompared', equal, differences } });
    this.#answer(this.#options.cuts.result(result));
  }

  kept(kept: Kept): void {
    this.#answer(this.#options.cuts.kept(kept));
  }

  lost(why: string): void {
    this.#answer(this.#options.cuts.lost(why));
  }

  get #isProtected(): boolean {
    return this.#options.state() === 'protected';
  }

  #want(origin: CutOrigin, wanted: KeepRequest | undefined): void {
    const { cuts, state } = this.#options;
    if (this.#isProtected) {
      cuts.want({ origin, keep: wanted && sent(wanted) });
      return;
    }
    const problem = `There is nothing to compare: state is ${state()}`;
    const mayPass = passing.includes(state()) ? { mayPass: true } : {};
    this.#answer([{ origin, answer: { type: 'refused', code: 'cut', problem, ...mayPass } }]);
  }

  /** Of this machine: a term has one recording with a backup (primary.ts, 3). */
  #inTerm(answer: Answer): Answer {
    return answer.type === 'kept' ? { ...answer, term: this.#options.term() } : answer;
  }

  #answer(answered: readonly AnsweredCut[]): void {
    const { emit, term } = this.#options;
    for (const { origin, answer } of answered) {
      if (origin.by === 'operator')
        emit({ type: 'answer', ask: origin.ask, answer: this.#inTerm(answer) });
      else if (origin.by === 'backup') {
        const control = resultOf(origin.requestId, answer);
        const message = { kind: 'control', term: term(), control } as const;
        emit({ type: 'send', link: origin.link, message });
      } else if (origin.by === 'policy') {
        const reason = answer.type === 'refused' ? answer.problem : '';
        // It is due again soon: the same reason is said once.
        const isNews = reason !== '' && reason !== this.#whyNotKept;
        this.#whyNotKept = reason;
        if (isNews) emit({ type: 'noted', what: { type: 'notKept', reason } });
      }
    }
  }
}

/** As it travels to the backup. */
function sent({ label, guest }: KeepRequest): KeepRequest {
  return { ...(label === undefined ? {} : { label }), ...(guest === undefined ? {} : { guest }) };
}
