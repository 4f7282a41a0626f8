/**
 * One run of a group: three pairs whose machines talk to each other, a coordinator that takes sets,
 * and faults that strike nodes and coordinator while it does.
 */
import { type Checker, Violation } from '../checkers/facts.ts';
import { wordNumber } from '../history.ts';
import { Pair } from '../pair.ts';
import { soundSeams } from '../seams.ts';
import { calmPair } from '../settings.ts';
import { restartLater } from '../strike.ts';
import { World } from '../world.ts';
import { SimCoordinator } from './coordinator.ts';
import type { GroupSeams } from './mutants.ts';
import { Orphans } from './orphans.ts';

const membersCount = 3;
/** Faults strike for so long; then some sets must be possible within `setsAgainMs`. */
const troubleMs = 6_000;
const setsAgainMs = 30_000;
const setsAgain = 8;
const holdMaxMs = 250;

export interface GroupIncident {
  readonly seed: number;
  readonly failure: { readonly rule: string; readonly message: string } | undefined;
  readonly sets: number;
  readonly failedSets: number;
  readonly takeovers: number;
  /** Words of another member that one had heard, over all sets. */
  readonly heard: number;
  readonly timeline: string;
}

export function runGroupIncident(seed: number, seams: GroupSeams): GroupIncident {
  const world = new World(seed);
  const group = new Group(world, seams);
  let failure: GroupIncident['failure'];
  try {
    group.trouble();
    world.run(troubleMs);
    world.say('world', 'the faults end');
    group.heal();
    const wanted = group.coordinator.committed + setsAgain;
    world.run(troubleMs + setsAgainMs, () => group.coordinator.committed >= wanted);
    if (group.coordinator.committed < wanted) {
      throw new Violation('group', `no ${setsAgain} sets in ${setsAgainMs} ms after the faults`);
    }
  } catch (thrown) {
    const rule = thrown instanceof Violation ? thrown.rule : 'error';
    const message = thrown instanceof Violation ? thrown.message : String((thrown as Error).stack);
    world.say('FAILED', message);
    failure = { rule, message };
  }
  const { committed, failed } = group.coordinator;
  return {
    seed,
    failure,
    sets: committed,
    failedSets: failed,
    takeovers: group.pairs.reduce((sum, { judge }) => sum + judge.takeovers, 0),
    heard: group.orphans.heard,
    timeline: failure === undefined ? '' : world.timeline.text(),
  };
}

class Group {
  readonly pairs: readonly Pair[];
  readonly coordinator: SimCoordinator;
  readonly orphans = new Orphans();
  readonly #world: World;

  constructor(world: World, { core, rules }: GroupSeams) {
    this.#world = world;
    const settings = { ...calmPair, ack: world.prng.pick(['received', 'durable'] as const) };
    this.pairs = Array.from({ length: membersCount }, (_, member) => {
      return new Pair(world, settings, { ...soundSeams, core }, [this.#wire(member)]);
    });
    const { orphans, pairs } = this;
    this.coordinator = new SimCoordinator({ world, members: pairs, orphans, rules, holdMaxMs });
    this.heal();
  }

  heal(): void {
    for (const pair of this.pairs) pair.heal();
    this.coordinator.process.crashIn = undefined;
    this.coordinator.start();
  }

  trouble(): void {
    const { prng } = this.#world;
    this.#world.after(prng.between(50, 1500), () => {
      if (this.#world.now > troubleMs - 300) return;
      this.#strike();
      this.trouble();
    });
  }

  #strike(): void {
    const { prng } = this.#world;
    const pair = prng.pick(this.pairs);
    switch (prng.below(6)) {
      case 0:
        this.#strikeCoordinator();
        return;
      case 1: {
        const node = prng.pick([pair.primary, pair.backup]);
        if (node?.isUp !== true || node.process.isPaused) return;
        node.process.pause();
        this.#world.after(prng.between(20, 400), () => node.process.go());
        return;
      }
      case 2:
        pair.network.setCut('a', 'b', true);
        this.#world.after(prng.between(20, 600), () => pair.network.setCut('a', 'b', false));
        return;
      default: {
        // Nobody is left who has the machine: that would be another story.
        if (!pair.isProtected) return;
        const node = prng.chance(800) ? pair.primary : pair.backup;
        node?.crash(prng.pick(['process', 'power']));
        if (node !== undefined) restartLater(pair, node);
      }
    }
  }

  #strikeCoordinator(): void {
    const { process } = this.coordinator;
    process.crashIn = this.#world.prng.between(1, 30);
    this.#world.after(500, () => this.coordinator.start());
  }

  /** What a member says arrives at another one, if there is a machine to hear it. */
  #wire(member: number): Checker {
    const { prng } = this.#world;
    return {
      released: ({ history, indices }) => {
        for (const index of indices) {
          const to = (member + 1 + prng.below(membersCount - 1)) % membersCount;
          const number = wordNumber(history.boot, index + 1);
          this.#world.after(prng.between(2, 30) / 10, () => {
            this.pairs[to]?.primary?.machine?.hear({ member, number });
          });
        }
      },
    };
  }
}
