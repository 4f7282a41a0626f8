/** Two simulated nodes, the network between them, and their arbiter. */
import type { Checker } from './checkers/facts.ts';
import { Judge } from './checkers/judge.ts';
import { calmPath, Network } from './network.ts';
import { SimNode } from './node.ts';
import type { Seams } from './seams.ts';
import type { PairSettings } from './settings.ts';
import { SimArbiter } from './sim-arbiter.ts';
import type { Surroundings } from './surroundings.ts';
import type { World } from './world.ts';

export class Pair {
  readonly world: World;
  readonly network: Network;
  readonly arbiter: SimArbiter;
  readonly judge: Judge;
  readonly settings: PairSettings;
  readonly a: SimNode;
  readonly b: SimNode;
  /** What the arbiter's network is like. */
  readonly temper = {
    ...{ slowMs: 0, lostPermille: 0 },
    unreachable: new Set<string>(),
    /** Nodes that look at a place that holds nothing. */
    empty: new Set<string>(),
  };
  /** Heals what is broken at the moment. */
  readonly undo = new Set<() => void>();

  /** `others`: checkers from outside of the pair. */
  constructor(world: World, settings: PairSettings, seams: Seams, others: readonly Checker[] = []) {
    this.world = world;
    this.settings = settings;
    this.network = new Network(world);
    const { prng } = world;
    this.arbiter = new SimArbiter(
      world,
      {
        reaches: (node) => !this.temper.unreachable.has(node),
        isEmptyFor: (node) => this.temper.empty.has(node),
        delayMs: () => prng.between(3, 30) / 10 + this.#slowness(),
        losesReply: () => this.temper.lostPermille > 0 && prng.chance(this.temper.lostPermille),
      },
      seams.arbiterNeedsIdentity,
    );
    this.judge = new Judge(this.arbiter, others);
    const around: Surroundings = {
      world,
      network: this.network,
      arbiter: this.arbiter,
      judge: this.judge,
      seams,
      settings,
      boots: 0,
      heldByPeerOf: (node, history) => {
        const { copy } = node === 'a' ? this.b : this.a;
        return copy?.history === history ? copy?.holds(settings.ack) : undefined;
      },
    };
    this.a = new SimNode('a', 'b', around);
    this.b = new SimNode('b', 'a', around);
  }

  /** Mostly slow; now and then so slow that the client has long given up when it is obeyed. */
  #slowness(): number {
    const { prng } = this.world;
    return prng.below(this.temper.slowMs * (prng.chance(150) ? 10 : 1) + 1);
  }

  /** A node whose machine is the pair's at the moment. */
  get primary(): SimNode | undefined {
    return this.#inRole('primary');
  }

  get backup(): SimNode | undefined {
    return this.#inRole('backup');
  }

  #inRole(role: SimNode['role']): SimNode | undefined {
    if (this.a.role === role) return this.a;
    return this.b.role === role ? this.b : undefined;
  }

  /** A takeover now would work. */
  get isProtected(): boolean {
    const { primary, backup } = this;
    const copy = backup?.copy;
    return (
      primary?.state === 'protected' &&
      backup?.state === 'protecting' &&
      copy !== undefined &&
      // Nobody else was told to go on: the takeover would be refused.
      primary.core?.term === this.arbiter.term &&
      copy.history === primary.machine?.history &&
      !copy.isStalled &&
      !copy.hasDiverged
    );
  }

  node(name: string): SimNode {
    if (name === 'a') return this.a;
    if (name === 'b') return this.b;
    throw new Error(`there is no node '${name}'`);
  }

  startIfDown(node: SimNode): void {
    if (!node.isUp && !node.hasLeft) node.start();
  }

  /** Everything that is broken is repaired; nodes that ended are started. */
  heal(): void {
    this.repair();
    for (const node of [this.a, this.b]) {
      node.process.crashIn = undefined;
      node.start();
    }
  }

  /** The network, the arbiter and the disks are as they should be again; nobody is started. */
  repair(): void {
    for (const undo of this.undo) undo();
    this.undo.clear();
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      Object.assign(this.network.path(from, to), calmPath());
      this.network.setCut(from, to, false);
    }
    Object.assign(this.temper, { slowMs: 0, lostPermille: 0 });
    this.temper.unreachable.clear();
    this.temper.empty.clear();
  }

  /** A message of an older term strays into the present link of the primary. */
  replayOldMessage(): boolean {
    const { primary } = this;
    const term = primary?.core?.term;
    const old = this.network.oldAcks.find((ack) => term !== undefined && ack.term < term);
    return old !== undefined && primary?.stray(old) === true;
  }
}
