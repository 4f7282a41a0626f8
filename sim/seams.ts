/**
 * Where a simulated node can be made to break a rule (mutants.ts). The defaults are the real thing:
 * the core of src/core as it is, and a driver, a machine and a copy that keep their contracts.
 */
import { judgeExpected, judgeSight } from '../src/core/known-arbiter.ts';
import { NodeCore, type NodeOptions } from '../src/core/node.ts';
import type { SimDisk } from './disk.ts';
import type { DiskWrite } from './guest.ts';

export interface Seams {
  readonly core: (options: NodeOptions) => NodeCore;
  /** The last step of a disk request. */
  readonly complete: (disk: SimDisk, write: DiskWrite) => void;
  /** Completes what was under way at a takeover. */
  readonly completeInFlight: (disk: SimDisk, write: DiskWrite) => void;
  /** Events at the end of the log that a copy never executes. */
  readonly skippedAtTakeover: number;
  /** Whether a copy that differs from its primary is found out at a takeover. */
  readonly provesTakeover: boolean;
  readonly refusesTornLog: boolean;
  /** Whether a node's disk has a term that it says it remembers. */
  readonly remembersSpoken: boolean;
  /** Which arbiter a node believes. */
  readonly judgeSight: typeof judgeSight;
  readonly judgeExpected: typeof judgeExpected;
  /** Whether an arbiter that was never set up gives no terms. */
  readonly arbiterNeedsIdentity: boolean;
}

export const soundSeams: Seams = {
  core: (options) => new NodeCore(options),
  complete: (disk, write) => disk.perform(write),
  completeInFlight: (disk, write) => disk.perform(write),
  skippedAtTakeover: 0,
  provesTakeover: true,
  refusesTornLog: true,
  remembersSpoken: true,
  judgeSight,
  judgeExpected,
  arbiterNeedsIdentity: true,
};
