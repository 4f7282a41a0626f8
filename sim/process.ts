/** What the two roles of a simulated node see of the process that they live in. */
import type { Millis, Term } from '../src/base/units.ts';
import type { Judge } from './checkers/judge.ts';
import type { SimDisk } from './disk.ts';
import type { History } from './history.ts';
import type { Machine, MachineHandlers } from './machine.ts';
import type { Network } from './network.ts';
import type { Seams } from './seams.ts';
import type { Condition, PairSettings } from './settings.ts';
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

export type ClaimOutcome =
  | { readonly type: 'termWon'; readonly term: Term }
  | { readonly type: 'termLost'; readonly holder: string }
  | { readonly type: 'arbiterUnreachable'; readonly reason: string };

export interface SimProcess {
  readonly name: string;
  readonly peerName: string;
  readonly holder: string;
  readonly around: Surroundings;
  readonly disk: SimDisk;
  readonly condition: Condition;
  /** On the node's own monotonic clock. */
  readonly now: Millis;
  say(what: string): void;
  /** Runs `act` in this life, in `delayMs`, when the process is not standing still. */
  later(delayMs: number, act: () => void): void;
  enter(act: () => void): void;
  /** Called before each effect: a crash may strike here. */
  step(): void;
  claim(expected: Term, done: (outcome: ClaimOutcome) => void): void;
  /** Makes the last term that was spoken in durable, then goes on. */
  remember(term: Term, done: () => void): void;
  roleEnded(outcome: 'poweredOff' | 'seek'): void;
  becomePrimary(machine: (handlers: MachineHandlers) => Machine, term: Term): void;
}
