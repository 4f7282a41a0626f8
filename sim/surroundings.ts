/** What a simulated node sees of the world that it lives in. */
import type { Judge } from './checkers/judge.ts';
import type { History } from './history.ts';
import type { Network } from './network.ts';
import type { Seams } from './seams.ts';
import type { PairSettings } from './settings.ts';
import type { SimArbiter } from './sim-arbiter.ts';
import type { World } from './world.ts';

export interface Surroundings {
  readonly world: World;
  readonly network: Network;
  readonly arbiter: SimArbiter;
  readonly judge: Judge;
  readonly seams: Seams;
  readonly settings: PairSettings;
  /** Counts the power-ons of the guest, over both nodes. */
  boots: number;
  /** For the checkers: log of this machine that the peer of `node` truly holds. */
  heldByPeerOf(node: string, history: History): number | undefined;
}
