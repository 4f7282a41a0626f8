/**
 * The coordinator of a group: takes sets, which are instants of several machines that belong
 * together.
 *
 * A set is a conversation with the primaries of all members at once (docs/groups.md):
 *
 *     prepare   a snapshot of each, which holds nothing and may be tried again
 *     line      each draws its line (line.ts), and holds outputs from there on
 *     open      when all have passed theirs: outputs leave again
 *     store     the log up to each line is in the member's store
 *     commit    the set is written down
 *
 * Contract
 *  1. `open` is sent to members when every one of them has passed its line, and not before. When
 *     one of them cannot, it is sent at once, and there is no set.
 *  2. A set is committed only if every line held from its marker up to `open`, nobody changed its
 *     term from its snapshot to then, and the log is stored up to every line.
 *  3. A set that is not committed leaves nothing: its snapshots are dropped, also those that are
 *     told of late.
 *  4. One set at a time. Whoever asks for one gets one outcome.
 *  5. Whatever becomes of the coordinator costs a member `holdMaxMs` of held outputs at most.
 */
import type { Epoch, Icount, LogPosition, Millis, Term } from '../base/units.ts';
import type { Answer, LineWish } from './effects.ts';

/** What a member is asked for. */
export type MemberWish =
  | { readonly wish: 'snapshot'; readonly label: string }
  | LineWish
  /** Answered when the log behind a snapshot is in the store up to there. */
  | { readonly wish: 'stored'; readonly snapshot: string; readonly position: LogPosition };

export type MemberAnswer =
  | Extract<Answer, { type: 'kept' | 'passed' | 'opened' | 'refused' }>
  | { readonly type: 'stored'; readonly upTo: LogPosition };

/** What a set has of a member. */
interface SetMember {
  readonly snapshot: string;
  readonly term: Term;
  readonly epoch: Epoch;
  readonly position: LogPosition;
  readonly icount: Icount;
  /** How long outputs were held for its line. */
  readonly heldMs: number;
}

export type SetOutcome =
  | { readonly type: 'committed'; readonly members: ReadonlyMap<string, SetMember> }
  | { readonly type: 'failed'; readonly member: string; readonly reason: string };

export type GroupEvent =
  | { readonly type: 'timer' }
  /** Somebody wants a set, of this name. */
  | { readonly type: 'take'; readonly set: string }
  | { readonly type: 'answered'; readonly ask: number; readonly answer: MemberAnswer };

export type GroupEffect =
  | {
      readonly type: 'ask';
      readonly ask: number;
      readonly member: string;
      readonly wish: MemberWish;
    }
  /** A snapshot that no set will name. */
  | { readonly type: 'drop'; readonly member: string; readonly snapshot: string }
  | { readonly type: 'over'; readonly set: string; readonly outcome: SetOutcome };

/** What is known of a member's part in a set, before it is judged. */
export interface MemberFacts {
  kept?: Extract<MemberAnswer, { type: 'kept' }>;
  passed?: Extract<MemberAnswer, { type: 'passed' }>;
  opened?: Extract<MemberAnswer, { type: 'opened' }>;
  storedTo?: LogPosition;
}

export interface GroupRules {
  /** Whether a member whose line is known may be opened. */
  readonly mayOpen: (members: readonly MemberFacts[], which: number) => boolean;
  /** Why a member's part cannot be committed. */
  readonly whyNot: (facts: MemberFacts) => string | undefined;
}

export const groupRules: GroupRules = {
  mayOpen: (members) => members.every(({ passed }) => passed !== undefined),
  whyNot: ({ kept, passed, opened, storedTo }) => {
    if (kept === undefined || passed === undefined || opened === undefined) {
      return 'it did not answer';
    }
    if (!opened.isHeld) return 'its outputs were not held up to the end';
    if (kept.term !== passed.term || passed.term !== opened.term) {
      return `its term was ${kept.term}, then ${passed.term}, then ${opened.term}`;
    }
    if (storedTo === undefined || storedTo < passed.position) return 'its log is not in its store';
    return undefined;
  },
};

export interface GroupOptions {
  readonly members: readonly string[];
  /** How long a line may hold outputs. */
  readonly holdMaxMs: number;
  /** @default groupLimits */
  readonly limits?: GroupLimits;
  /** Other ones are for the simulator. */
  readonly rules?: GroupRules;
}

export interface GroupLimits {
  /** Until every member must have its snapshot, its log stored, and its line opened. */
  readonly prepareMs: number;
  readonly storeMs: number;
  readonly openMs: number;
  /** Until a snapshot that was refused for now is asked for again. */
  readonly againMs: number;
}

export const groupLimits: GroupLimits = {
  // A first snapshot of a large machine takes half a minute, and waits for the one before.
  prepareMs: 120_000,
  // Log is stored every second; a store may be slow.
  storeMs: 30_000,
  // Two hosts answer in milliseconds; nothing is held any more after the line's own limit.
  openMs: 5_000,
  againMs: 500,
};

type Step = 'prepare' | 'line' | 'open' | 'store';

interface Present {
  readonly set: string;
  step: Step;
  /** When this step has to be over. */
  dueAt: number;
  readonly facts: MemberFacts[];
  /** When a member's snapshot is asked for again. */
  readonly againAt: (number | undefined)[];
}

interface Asked {
  readonly set: string;
  readonly member: number;
  readonly wish: MemberWish['wish'];
}

export class GroupCore {
  readonly #options: GroupOptions;
  readonly #rules: GroupRules;
  readonly #limits: GroupLimits;
  #present: Present | undefined;
  readonly #asked = new Map<number, Asked>();
  #asks = 0;
  #effects: GroupEffect[] = [];

  constructor(options: GroupOptions) {
    this.#options = options;
    this.#rules = options.rules ?? groupRules;
    this.#limits = options.limits ?? groupLimits;
  }

  /** The set that is being taken. */
  get taking(): string | undefined {
    return this.#present?.set;
  }

  step(event: GroupEvent, now: Millis): GroupEffect[] {
    this.#effects = [];
    switch (event.type) {
      case 'take':
        this.#take(event.set, now);
        break;
      case 'answered':
        this.#answered(event.ask, event.answer, now);
        break;
      case 'timer':
        break;
    }
    this.#timer(now);
    return this.#effects;
  }

  #take(set: string, now: Millis): void {
    if (this.#present !== undefined) {
      const reason = `set '${this.#present.set}' is being taken`;
      this.#effects.push({ type: 'over', set, outcome: { type: 'failed', member: '', reason } });
      return;
    }
    const { members } = this.#options;
    this.#present = {
      ...{ set, step: 'prepare', dueAt: now + this.#limits.prepareMs },
      facts: members.map(() => ({})),
      againAt: members.map(() => undefined),
    };
    this.#askAll(() => ({ wish: 'snapshot', label: set }));
  }

  #answered(ask: number, answer: MemberAnswer, now: Millis): void {
    const asked = this.#asked.get(ask);
    this.#asked.delete(ask);
    if (asked === undefined) return;
    const { set, member } = asked;
    const present = this.#present;
    const facts = present?.set === set ? present.facts[member] : undefined;
    if (present === undefined || facts === undefined) {
      if (answer.type === 'kept') this.#drop(member, answer.snapshot);
      return;
    }
    switch (answer.type) {
      case 'kept':
        facts.kept = answer;
        break;
      case 'passed':
        facts.passed = answer;
        this.#openIfPassed(present, now);
        break;
      case 'opened':
        facts.opened = answer;
        break;
      case 'stored':
        facts.storedTo = answer.upTo;
        break;
      case 'refused':
        if (asked.wish === 'snapshot' && answer.mayPass === true) {
          present.againAt[member] = now + this.#limits.againMs;
        } else this.#fail(member, answer.problem);
        return;
    }
    this.#goOn(present, now);
  }

  /** Contract 1: mutants open in other ways. */
  #openIfPassed(present: Present, now: Millis): void {
    for (const [member, { passed, opened }] of present.facts.entries()) {
      const isOpening = this.#isAsked(present.set, member, 'open');
      if (passed === undefined || opened !== undefined || isOpening) continue;
      if (!this.#rules.mayOpen(present.facts, member)) continue;
      this.#ask(member, { wish: 'open', set: present.set });
      present.step = 'open';
      present.dueAt = now + this.#limits.openMs;
    }
  }

  #goOn(present: Present, now: Millis): void {
    const { set, step, facts } = present;
    if (step === 'prepare' && facts.every(({ kept }) => kept !== undefined)) {
      present.step = 'line';
      // Longer nobody holds.
      present.dueAt = now + 2 * this.#options.holdMaxMs;
      const { holdMaxMs } = this.#options;
      this.#askAll(() => ({ wish: 'line', set, holdMaxMs }));
    }
    if (step === 'open' && facts.every(({ opened }) => opened !== undefined)) {
      // What the store says is not needed to know that there will be no set.
      const whyNot = this.#whyNot(facts.map((known) => ({ ...known, storedTo: endOfLog })));
      if (whyNot !== undefined) {
        this.#fail(...whyNot);
        return;
      }
      present.step = 'store';
      present.dueAt = now + this.#limits.storeMs;
      this.#askAll((member) => {
        const { kept, passed } = facts[member] as Required<MemberFacts>;
        return { wish: 'stored', snapshot: kept.snapshot, position: passed.position };
      });
    }
    if (step === 'store' && facts.every(({ storedTo }) => storedTo !== undefined)) {
      const whyNot = this.#whyNot(facts);
      if (whyNot === undefined) this.#commit(present);
      else this.#fail(...whyNot);
    }
  }

  #whyNot(all: readonly MemberFacts[]): [member: number, reason: string] | undefined {
    for (const [member, facts] of all.entries()) {
      const reason = this.#rules.whyNot(facts);
      if (reason !== undefined) return [member, reason];
    }
    return undefined;
  }

  #timer(now: Millis): void {
    const present = this.#present;
    if (present === undefined) return;
    if (now >= present.dueAt) {
      const late = present.facts.findIndex((facts) => !isDone(present.step, facts));
      this.#fail(late, `it did not answer in time (${present.step})`);
      return;
    }
    for (const [member, at] of present.againAt.entries()) {
      if (at === undefined || now < at) continue;
      present.againAt[member] = undefined;
      this.#ask(member, { wish: 'snapshot', label: present.set });
    }
  }

  #commit({ set, facts }: Present): void {
    this.#present = undefined;
    const parts = facts.map((known, member): [string, SetMember] => {
      const { kept, passed, opened } = known as Required<MemberFacts>;
      const { term, epoch, position, icount } = passed;
      const { heldMs } = opened;
      return [
        this.#name(member),
        { snapshot: kept.snapshot, term, epoch, position, icount, heldMs },
      ];
    });
    this.#effects.push({
      type: 'over',
      set,
      outcome: { type: 'committed', members: new Map(parts) },
    });
  }

  #fail(member: number, reason: string): void {
    const present = this.#present;
    if (present === undefined) return;
    this.#present = undefined;
    const { set, step, facts } = present;
    for (const [index, { kept, opened }] of facts.entries()) {
      const isOpening = opened !== undefined || this.#isAsked(set, index, 'open');
      if (step !== 'prepare' && !isOpening) this.#ask(index, { wish: 'open', set });
      if (kept !== undefined) this.#drop(index, kept.snapshot);
    }
    const outcome = { type: 'failed', member: this.#name(member), reason } as const;
    this.#effects.push({ type: 'over', set, outcome });
  }

  #askAll(wishOf: (member: number) => MemberWish): void {
    for (const member of this.#options.members.keys()) this.#ask(member, wishOf(member));
  }

  #ask(member: number, wish: MemberWish): void {
    this.#asks += 1;
    const set = wish.wish === 'line' || wish.wish === 'open' ? wish.set : (this.taking ?? '');
    this.#asked.set(this.#asks, { set, member, wish: wish.wish });
    this.#effects.push({ type: 'ask', ask: this.#asks, member: this.#name(member), wish });
  }

  #isAsked(set: string, member: number, wish: MemberWish['wish']): boolean {
    return [...this.#asked.values()].some(
      (asked) => asked.set === set && asked.member === member && asked.wish === wish,
    );
  }

  #drop(member: number, snapshot: string): void {
    this.#effects.push({ type: 'drop', member: this.#name(member), snapshot });
  }

  #name(member: number): string {
    return this.#options.members[member] ?? '';
  }
}

const endOfLog = Number.MAX_SAFE_INTEGER as LogPosition;

function isDone(step: Step, { kept, passed, opened, storedTo }: MemberFacts): boolean {
  switch (step) {
    case 'prepare':
      return kept !== undefined;
    case 'line':
      return passed !== undefined;
    case 'open':
      return opened !== undefined;
    case 'store':
      return storedTo !== undefined;
  }
}
