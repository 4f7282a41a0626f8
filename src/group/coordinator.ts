/** Takes sets of a group: drives the core of src/core/group.ts with the members of a group file. */
import { reasonOf, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Millis } from '../base/units.ts';
import { GroupCore, type GroupEffect, type GroupEvent, type SetOutcome } from '../core/group.ts';
import { newSnapshotId } from '../store/manifest.ts';
import type { GroupConfig } from './group-file.ts';
import { MemberDriver } from './members.ts';
import { type GroupSet, Sets } from './sets.ts';

export class GroupCoordinator {
  readonly sets: Sets;
  readonly #config: GroupConfig;
  readonly #core: GroupCore;
  readonly #drivers: ReadonlyMap<string, MemberDriver>;
  readonly #warn: (text: string) => void;
  /** What is being asked and dropped. */
  readonly #work = new Set<Promise<void>>();
  #over: ((outcome: SetOutcome) => void) | undefined;

  /** `warn`: is told what is left behind. */
  constructor(config: GroupConfig, warn: (text: string) => void) {
    const { members, holdMaxMs, sets } = config;
    this.#config = config;
    this.#warn = warn;
    this.#core = new GroupCore({ members: members.map(({ name }) => name), holdMaxMs });
    this.#drivers = new Map(members.map((member) => [member.name, new MemberDriver(member)]));
    this.sets = new Sets(sets);
  }

  /** One at a time. Throws `cut` with the member, and why, when there is no set. */
  async take(): Promise<GroupSet> {
    const takenAtMs = Date.now();
    const set = newSnapshotId(takenAtMs);
    const outcome = await new Promise<SetOutcome>((resolve) => {
      this.#over = resolve;
      this.#step({ type: 'take', set });
      const ticking = setInterval(() => {
        if (this.#core.taking === undefined) clearInterval(ticking);
        else this.#step({ type: 'timer' });
      }, limits.coreTimerMs);
    });
    if (outcome.type === 'failed') {
      await this.#settled();
      throw new UnderstudyError('cut', `No set of group '${this.#config.name}' was taken`, {
        cause: new Error(`member '${outcome.member}': ${outcome.reason}`),
        hint: '`understudy status` of the member says whether it is protected',
        mayPass: true,
      });
    }
    const members = Object.fromEntries(
      this.#config.members.map(({ name, pair, store }) => {
        const part = outcome.members.get(name);
        if (part === undefined) throw new Error(`a set without member ${name}`);
        return [name, { pair, store, ...part }];
      }),
    );
    const taken = { group: this.#config.name, set, takenAtMs, members };
    try {
      await this.sets.write(taken);
    } catch (error) {
      await this.#dropAll(taken);
      throw error;
    }
    await this.#keepLast();
    return taken;
  }

  /** Removes a set, and the snapshots that it named. */
  async remove(id: string): Promise<void> {
    const set = this.sets.read(id);
    // In this order: a set never names what is not there.
    await this.sets.remove(id);
    await this.#dropAll(set);
  }

  async #dropAll({ members }: GroupSet): Promise<void> {
    for (const [name, { snapshot }] of Object.entries(members)) await this.#drop(name, snapshot);
  }

  async #keepLast(): Promise<void> {
    const { keepLast } = this.#config;
    if (keepLast === undefined) return;
    const { sets } = this.sets.list();
    const own = sets.filter(({ group }) => group === this.#config.name);
    for (const { set } of own.slice(0, Math.max(0, own.length - keepLast))) await this.remove(set);
  }

  #step(event: GroupEvent): void {
    for (const effect of this.#core.step(event, performance.now() as Millis)) this.#perform(effect);
  }

  #perform(effect: GroupEffect): void {
    switch (effect.type) {
      case 'ask': {
        const { ask, member, wish } = effect;
        const asking = this.#drivers
          .get(member)
          ?.ask(wish)
          .then((answer) => {
            this.#step({ type: 'answered', ask, answer });
          });
        if (asking !== undefined) this.#track(asking);
        return;
      }
      case 'drop':
        this.#track(this.#drop(effect.member, effect.snapshot));
        return;
      case 'over':
        this.#over?.(effect.outcome);
    }
  }

  async #drop(member: string, snapshot: string): Promise<void> {
    try {
      await this.#drivers.get(member)?.drop(snapshot);
    } catch (thrown) {
      this.#warn(`snapshot ${snapshot} of member '${member}' stays: ${reasonOf(thrown)}`);
    }
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  /** Nothing is being asked or dropped any more. */
  async #settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }
}
