/** What a pair is configured to do, and what its hosts are like at the moment. */
import type { CutPolicy } from '../src/core/cuts.ts';
import type { Prng } from './prng.ts';

export interface PairSettings {
  readonly ack: 'received' | 'durable';
  readonly onBackupLost: 'runAlone' | 'hold';
  readonly epochMs: number;
  readonly silenceMs: number;
  readonly heldOutputsMax: number;
  readonly cuts: CutPolicy;
}

/** A host's condition, which faults change. */
export interface Condition {
  diskMs: () => number;
  /** How long the spool takes to have log on disk; `undefined`: it is full. */
  spoolMs: () => number | undefined;
  /** How long it takes to remember a term; `undefined`: the disk is full. */
  rememberMs: () => number | undefined;
  /** Events that a copy executes in one tick: usually some times what a primary makes. */
  copySpeed: () => number;
  /** The machine's monitor does not answer in time. */
  stopFails: () => boolean;
  goFails: () => boolean;
  /** The log behind a cut shows that it was none. */
  cutFails: () => boolean;
  /** A takeover here cannot be proved. */
  takeoverFails: () => boolean;
}

export const calmCondition = (prng: Prng): Condition => ({
  diskMs: () => prng.between(1, 6),
  spoolMs: () => prng.between(1, 4),
  // A sync waits for a disk that others use, too.
  rememberMs: () => (prng.chance(100) ? prng.between(50, 500) : prng.between(1, 3)),
  copySpeed: () => 20,
  stopFails: () => false,
  goFails: () => false,
  cutFails: () => false,
  takeoverFails: () => false,
});

export const calmPair: PairSettings = {
  ack: 'received',
  onBackupLost: 'runAlone',
  epochMs: 20,
  silenceMs: 300,
  heldOutputsMax: 64,
  cuts: {},
};
