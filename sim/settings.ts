/** What a pair is configured to do, and what its hosts are like at the moment. */
import type { Prng } from './prng.ts';

export interface PairSettings {
  readonly ack: 'received' | 'durable';
  readonly onBackupLost: 'runAlone' | 'hold';
  readonly epochMs: number;
  readonly silenceMs: number;
}

/** A host's condition, which faults change. */
export interface Condition {
  diskMs: () => number;
  /** How long the spool takes to have log on disk; `undefined`: it is full. */
  spoolMs: () => number | undefined;
}

export const calmCondition = (prng: Prng): Condition => ({
  diskMs: () => prng.between(1, 6),
  spoolMs: () => prng.between(1, 4),
});

export const calmPair: PairSettings = {
  ack: 'received',
  onBackupLost: 'runAlone',
  epochMs: 20,
  silenceMs: 300,
};
