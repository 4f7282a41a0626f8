/** What the simulated nodes report to the checkers: facts, told at the moment they happen. */
import type { SimDisk } from '../disk.ts';
import type { GuestState } from '../guest.ts';
import type { History } from '../history.ts';

/** Outputs left for the world. */
export interface Released {
  readonly atMs: number;
  readonly node: string;
  /** One life of a node, as the arbiter knows it. */
  readonly holder: string;
  readonly term: number;
  readonly history: History;
  /** Indices of the outputs, in order. */
  readonly indices: readonly number[];
  /** The state of the node's protocol core. */
  readonly state: string;
  /** The core has said that the machine may be heard. */
  readonly mayBeHeard: boolean;
  /** The last term that this node's disk has. */
  readonly spoken: number;
  /** The policy forbids to speak without a backup, and there was one in this life as primary. */
  readonly mustHold: boolean;
  /**
   * Log that the backup truly holds, as its acknowledgement mode counts; only with a granted one.
   */
  readonly backupHolds: number | undefined;
  /** When the acknowledgement that released these reached this node's kernel. */
  readonly ackArrivedAt: number | undefined;
}

export interface Acknowledged {
  readonly node: string;
  readonly history: History | undefined;
  readonly position: number;
  readonly mode: 'received' | 'durable';
  /** End of the log in its memory, and on its disk. */
  readonly held: number;
  readonly durable: number;
}

export interface TookOver {
  readonly node: string;
  readonly holder: string;
  readonly term: number;
  /** The history of the machine that was copied. */
  readonly history: History;
  readonly position: number;
  readonly state: GuestState;
  readonly disk: SimDisk;
  /** The primary has handed over on purpose. */
  readonly isDrill: boolean;
}

export interface Booted {
  readonly node: string;
  readonly holder: string;
  readonly term: number;
  readonly history: History;
  readonly disk: SimDisk;
}

/** A node ends its machine, which is sound, because another one has the term. */
export interface GaveUp {
  readonly node: string;
  readonly holder: string;
}

/** A cut of a copy is in a store. */
export interface KeptFact {
  readonly node: string;
  readonly cutId: string;
  readonly history: History;
  readonly position: number;
  readonly digest: number;
}

export interface Sizes {
  readonly node: string;
  /** What waits; each has a bound in bounds.ts. */
  readonly heldOutputs: number;
  /** What the pair allows of them. */
  readonly heldOutputsMax: number;
  readonly backlogEvents: number;
}

/** People look at a node whose arbiter is away, and it says nothing of that. */
export interface Unwarned {
  readonly atMs: number;
  readonly holder: string;
}

/** A checker looks at facts and throws `Violation`. It never sees the protocol's own state. */
export interface Checker {
  released?(fact: Released): void;
  acknowledged?(fact: Acknowledged): void;
  tookOver?(fact: TookOver): void;
  booted?(fact: Booted): void;
  gaveUp?(fact: GaveUp): void;
  kept?(fact: KeptFact): void;
  sizes?(fact: Sizes): void;
  unwarned?(fact: Unwarned): void;
}

export class Violation extends Error {
  override readonly name = 'Violation';
  readonly rule: string;

  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`);
    this.rule = rule;
  }
}
