/** Two simulated nodes, the network between them, and their arbiter. */
import { BackupLife } from './backup-life.ts';
import { Judge } from './checkers/judge.ts';
import { calmPath, Network } from './network.ts';
import { SimNode } from './node.ts';
import { PrimaryLife } from './primary-life.ts';
import type { Surroundings } from './process.ts';
import type { Seams } from './seams.ts';
import type { PairSettings } from './settings.ts';
import { SimArbiter } from './sim-arbiter.ts';
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
  readonly temper = { slowMs: 0, lostPermille: 0, unreachable: new Set<string>() };
  /** Heals what is broken at the moment. */
  readonly undo = new Set<() => void>();

  constructor(world: World, settings: PairSettings, seams: Seams) {
    this.world = world;
    this.settings = settings;
    this.network = new Network(world);
    const { prng } = world;
    this.arbiter = new SimArbiter(world, {
      reaches: (node) => !this.temper.unreachable.has(node),
      delayMs: () => prng.between(3, 30) / 10 + this.#slowness(),
      losesReply: () => this.temper.lostPermille > 0 && prng.chance(this.temper.lostPermille),
    });
    this.judge = new Judge(this.arbiter);
    const around: Surroundings = {
      world,
      network: this.network,
      arbiter: this.arbiter,
      judge: this.judge,
      seams,
      settings,
      boots: 0,
      heldByPeerOf: (node, history) => {
        const { role } = node === 'a' ? this.b : this.a;
        if (!(role instanceof BackupLife) || role.history !== history) return undefined;
        return role.holds(settings.ack);
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

  get isProtected(): boolean {
    const [a, b] = [this.a.role, this.b.role];
    const primary = a instanceof PrimaryLife ? a : b;
    const backup = a instanceof PrimaryLife ? b : a;
    return (
      primary instanceof PrimaryLife &&
      backup instanceof BackupLife &&
      primary.state === 'protected' &&
      backup.state === 'protecting' &&
      backup.history === primary.machine.history &&
      backup.replica?.isStalled === false &&
      !backup.replica.hasDiverged
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
      node.crashIn = undefined;
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
  }

  /** A message of an older term strays into the present link of the primary. */
  replayOldMessage(): boolean {
    const role = [this.a.role, this.b.role].find((each) => each instanceof PrimaryLife);
    if (!(role instanceof PrimaryLife)) return false;
    const old = this.network.oldAcks.find(({ term }) => term < role.term);
    if (old === undefined) return false;
    return role.stray(old);
  }
}
