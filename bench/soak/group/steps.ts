/**
 * The steps of a set, as they pass between its coordinator and its members, and when somebody is
 * killed at one of them.
 */

export const steps = ['prepare', 'line', 'passed', 'open', 'stored'] as const;
export type Step = (typeof steps)[number];

/** The coordinator, or the primary of the member at this place. */
type Victim = 'coordinator' | number;

export interface Kill {
  readonly step: Step;
  readonly victim: Victim;
}

/** A command that reached a member, or an answer that it gave. */
export interface Passing {
  readonly member: number;
  readonly what: 'snapshot' | 'line' | 'passed' | 'open' | 'opened';
}

/** At each step the coordinator first, then each member's primary. */
export const killPlan = (members: number): Kill[] =>
  steps.flatMap((step) =>
    (['coordinator', ...Array(members).keys()] as const).map((victim) => ({ step, victim })),
  );

const passingOf: Readonly<Record<Step, Passing['what']>> = {
  prepare: 'snapshot',
  line: 'line',
  passed: 'passed',
  open: 'open',
  // Nothing of it passes there: all were opened, and the stores are being asked.
  stored: 'opened',
};

/**
 * When to kill. A member's primary: when it has been asked, or has answered. The coordinator: when
 * all have, but for `open`, which then only the first one hears. At `stored`: when all were opened.
 */
export class KillMoment {
  readonly #kill: Kill;
  readonly #members: number;
  readonly #had = new Set<number>();
  #isOver = false;

  constructor(kill: Kill, members: number) {
    this.#kill = kill;
    this.#members = members;
  }

  /** Whether this is it; once. */
  take({ member, what }: Passing): boolean {
    const { step, victim } = this.#kill;
    if (this.#isOver || what !== passingOf[step]) return false;
    this.#had.add(member);
    const isAll = this.#had.size === this.#members;
    const isOne = victim === 'coordinator' ? step === 'open' : member === victim;
    this.#isOver = step !== 'stored' && isOne;
    if (victim === 'coordinator' || step === 'stored') this.#isOver ||= isAll;
    return this.#isOver;
  }
}
