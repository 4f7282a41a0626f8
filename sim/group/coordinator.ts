/**
 * The process that takes sets of a group, as src/group is in earnest: it drives the core of
 * src/core/group.ts, asks the members' primaries over a network, and dies now and then.
 */
import { limits } from '../../src/base/limits.ts';
import { logPosition, type Millis } from '../../src/base/units.ts';
import type { Answer } from '../../src/core/effects.ts';
import {
  GroupCore,
  type GroupEffect,
  type GroupEvent,
  type GroupLimits,
  type GroupRules,
  groupLimits,
  type MemberAnswer,
  type MemberWish,
} from '../../src/core/group.ts';
import type { History } from '../history.ts';
import type { Pair } from '../pair.ts';
import { SimProcess } from '../process.ts';
import type { World } from '../world.ts';
import type { Orphans } from './orphans.ts';

export interface CoordinatorOptions {
  readonly world: World;
  readonly members: readonly Pair[];
  readonly orphans: Orphans;
  readonly rules: GroupRules;
  readonly holdMaxMs: number;
}

/** So long it waits for a node that says nothing; a snapshot takes its time. */
const silenceMs = 400;
const snapshotMs = 3_000;
/** Faults are rarer in earnest. */
const patience: GroupLimits = { ...groupLimits, prepareMs: 5_000, storeMs: 2_000, openMs: 1_000 };
/** Between two looks at what a store has. */
const storePollMs = 20;

export class SimCoordinator {
  readonly process: SimProcess;
  committed = 0;
  failed = 0;
  readonly #options: CoordinatorOptions;
  #core: GroupCore | undefined;
  #sets = 0;
  /** The recording that a snapshot of the present set is of, by member. */
  readonly #kept = new Map<string, History>();

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.process = new SimProcess('group', options.world, () => this.crash());
  }

  start(): void {
    const { members, holdMaxMs, rules } = this.#options;
    if (this.process.isUp) return;
    this.process.start();
    this.#core = new GroupCore({
      members: members.map((_, index) => `${index}`),
      holdMaxMs,
      rules,
      limits: patience,
    });
    this.process.run(() => this.#tick());
  }

  crash(): void {
    if (!this.process.isUp) return;
    this.process.say('is killed');
    this.process.end();
    this.#core = undefined;
  }

  #tick(): void {
    const { prng } = this.#options.world;
    this.#step({ type: 'timer' });
    if (this.#core?.taking === undefined && prng.chance(100)) {
      this.#sets += 1;
      this.#step({ type: 'take', set: `s${this.#sets}` });
    }
    this.process.later(limits.coreTimerMs, () => this.#tick());
  }

  #step(event: GroupEvent): void {
    const now = this.#options.world.now as Millis;
    for (const effect of this.#core?.step(event, now) ?? []) {
      this.process.step();
      this.#perform(effect);
    }
  }

  #perform(effect: GroupEffect): void {
    switch (effect.type) {
      case 'ask': {
        const { ask, member, wish } = effect;
        this.#ask(Number(member), wish, (answer) => {
          this.#step({ type: 'answered', ask, answer });
        });
        return;
      }
      case 'drop':
        this.#kept.delete(keyOf(effect.member, effect.snapshot));
        return;
      case 'over':
        this.#over(effect);
    }
  }

  #over({ set, outcome }: Extract<GroupEffect, { type: 'over' }>): void {
    if (outcome.type === 'failed') {
      this.failed += 1;
      this.process.say(`no set ${set}: member ${outcome.member}: ${outcome.reason}`);
      return;
    }
    this.committed += 1;
    this.process.say(`set ${set} is committed`);
    this.#options.orphans.committed(
      [...outcome.members].map(([member, { snapshot, epoch }]) => {
        return { history: this.#kept.get(keyOf(member, snapshot)), epoch };
      }),
    );
  }

  /** Each question is answered once, by a node or by its silence. */
  #ask(member: number, wish: MemberWish, answered: (answer: MemberAnswer) => void): void {
    const { world } = this.#options;
    // Lines that are drawn at very different moments show most.
    const onTheWay = (): number => world.prng.between(2, 90) / 10;
    let isOver = false;
    const over = (answer: MemberAnswer, delayMs = onTheWay()): void => {
      if (isOver) return;
      isOver = true;
      this.process.later(delayMs, () => answered(answer));
    };
    this.process.later(wish.wish === 'snapshot' ? snapshotMs : silenceMs, () =>
      over(refusal(`it does not answer (${wish.wish})`), 0),
    );
    this.process.later(onTheWay() + this.#lateMs(wish), () => {
      if (wish.wish === 'stored') this.#untilStored(member, wish, over);
      else this.#askNode(member, wish, over);
    });
  }

  /** A line so late that nobody else holds any more; a snapshot that takes its time. */
  #lateMs({ wish }: MemberWish): number {
    const { prng } = this.#options.world;
    if (wish === 'snapshot') return prng.chance(100) ? prng.between(200, 2500) : 0;
    return prng.chance(40) ? prng.between(100, 450) : 0;
  }

  #askNode(
    member: number,
    wish: Exclude<MemberWish, { wish: 'stored' }>,
    over: (answer: MemberAnswer, delayMs?: number) => void,
  ): void {
    const { members, world } = this.#options;
    const node = members[member]?.primary;
    if (node?.isUp !== true) {
      over(refusal('it has no primary'));
      return;
    }
    // One in some is so late that nothing is held any more.
    const lateMs = world.prng.chance(8) ? world.prng.between(100, 450) : undefined;
    node.ask(wish, (answer) => {
      const history = node.machine?.history;
      if (answer.type === 'kept' && history !== undefined) {
        this.#kept.set(keyOf(member, answer.snapshot), history);
      }
      if (isOfMember(answer)) over(answer, lateMs);
    });
  }

  /** The copy's log is what a store gets. */
  #untilStored(
    member: number,
    { snapshot, position }: Extract<MemberWish, { wish: 'stored' }>,
    over: (answer: MemberAnswer) => void,
  ): void {
    const pair = this.#options.members[member];
    const copy = pair?.backup?.copy;
    const history = this.#kept.get(keyOf(member, snapshot));
    // Of a recording that a takeover has ended, about all is there.
    const held =
      copy?.history === history
        ? (copy?.holds(pair?.settings.ack ?? 'received') ?? 0)
        : (history?.end ?? 0);
    if (held >= position) over({ type: 'stored', upTo: logPosition(held) });
    else {
      this.process.later(storePollMs, () =>
        this.#untilStored(member, { wish: 'stored', snapshot, position }, over),
      );
    }
  }
}

/** Members number their snapshots alike. */
const keyOf = (member: number | string, snapshot: string): string => `${member}/${snapshot}`;

const refusal = (problem: string): MemberAnswer => ({ type: 'refused', code: 'link', problem });

function isOfMember(answer: Answer): answer is Exclude<MemberAnswer, { type: 'stored' }> {
  return (
    answer.type === 'kept' ||
    answer.type === 'passed' ||
    answer.type === 'opened' ||
    answer.type === 'refused'
  );
}
