/**
 * Where a simulated node can be made to break a rule (mutants.ts). The defaults are the real thing:
 * classes and functions of src/core as they are.
 */
import { BackupCore, type BackupOptions } from '../src/core/backup.ts';
import { choose } from '../src/core/membership.ts';
import { PrimaryCore, type PrimaryOptions } from '../src/core/primary.ts';
import { judgeTerm } from '../src/core/terms.ts';
import type { SimDisk } from './disk.ts';
import type { DiskWrite } from './guest.ts';

export interface Seams {
  readonly primaryCore: (options: PrimaryOptions) => PrimaryCore;
  readonly backupCore: (options: BackupOptions) => BackupCore;
  readonly choose: typeof choose;
  readonly judgeTerm: typeof judgeTerm;
  /** The last step of a disk request. */
  readonly complete: (disk: SimDisk, write: DiskWrite) => void;
  /** Completes what was under way at a takeover. */
  readonly completeInFlight: (disk: SimDisk, write: DiskWrite) => void;
  /** The position that a backup acknowledges, given the end of the log it received. */
  readonly ackPosition: (position: number) => number;
  /** Events at the end of the log that a copy never executes. */
  readonly skippedAtTakeover: number;
  /** Whether a copy that differs from its primary is found out. */
  readonly noticesDivergence: boolean;
  readonly refusesTornLog: boolean;
  /** Whether a node remembers the term that its machine is about to speak in. */
  readonly remembersSpoken: boolean;
  /** Whether a node that has won a term says so while it does not speak in it yet. */
  readonly tellsWonTerm: boolean;
}

export const soundSeams: Seams = {
  primaryCore: (options) => new PrimaryCore(options),
  backupCore: (options) => new BackupCore(options),
  choose,
  judgeTerm,
  complete: (disk, write) => disk.perform(write),
  completeInFlight: (disk, write) => disk.perform(write),
  ackPosition: (position) => position,
  skippedAtTakeover: 0,
  noticesDivergence: true,
  refusesTornLog: true,
  remembersSpoken: true,
  tellsWonTerm: true,
};
