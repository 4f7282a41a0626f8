/**
 * Machine: the protected machine of a primary, and its copy on the backup.
 *
 * Intuition: the protocol does not care how a copy is kept equal. One machine logs its events and
 * its copy executes them; another may send what it has written since the last epoch. Both have
 * positions that rise, outputs that wait, a moment at which they can be frozen, and a copy that can
 * prove that it is the machine. So a position here is an opaque number: only that it rises counts.
 *
 * Nothing here returns what it found. A command is begun; what became of it is reported, so that a
 * driver has nothing to wait for and a simulator needs no other machine than the real one's
 * interface.
 *
 * Contract of both
 *  1. Reports come one at a time, none while a command is being called, and none after `destroy`
 *     was called but `gone`, which is the last one. A command after `destroy` does nothing.
 *  2. A command never throws. What cannot be done is reported: by the command's own report where it
 *     has one for that, otherwise by `machineFailed` or `copyFailed`, once.
 *
 * Contract of the protected machine
 *  3. `recorded` runs are contiguous. A marker that was given comes back in one, once, in order,
 *     and everything that led to outputs that were reported before the marker was given is in front
 *     of it.
 *  4. Of `stop`, `go`, `seed` and `cut` one is given at a time; each is answered once: by `stopped`
 *     or `notStopped`, `continued` or `notContinued`, `seedEnded`, `cutEnded`.
 *  5. After `stopped` the log is over at `logEnd` until `go`, and all of it was reported.
 *     After `notStopped` the guest runs.
 *  6. A machine that stood at a position and goes on from there without a cut says so with `wentOn`
 *     before it reports anything behind it: its copy has to do the same (lockstep.md, R5).
 *  7. `seedCut` and `cutMade` come while the machine stands still: nothing behind their position
 *     was reported. `seedEnded` without a problem: the copy was sent all that it needs.
 *  8. `slowDown` is invisible to the guest but for time.
 *
 *  9. `hurt` says that the machine stands, or that a part of it does not work, while its guest has
 *     seen nothing of that and all of its log is good: a copy that took over now would be the
 *     machine. It says so again when the reason is another one, and `healed` when it works again.
 *     One that `stands` goes on by `go`, as no copy does.
 *
 * Contract of the copy
 * 10. It executes what it is given in the order of `take`, and `executed` never tells more.
 * 11. `received` and `durable` tell only what will be executed at a takeover.
 * 12. `compare` of a copy that is ready is answered once, by `compared` or `copyFailed`, and with
 *     `keep` by one `kept`, which may come much later.
 * 13. `takeOver` is answered once: `tookOver` only when everything that was given was executed and
 *     that is proven. The copy is the machine from then on; what it reports is of a protected
 *     machine.
 */
import type { Epoch, Icount, LogPosition } from '../base/units.ts';
import type { Cut, KeepRequest, Link, LinkMessage } from './link.ts';

/** A stretch of what the machine recorded. Implementations add what they ship. */
export interface RecordedRun {
  readonly from: LogPosition;
  readonly to: LogPosition;
  /** Of what is shipped. */
  readonly bytes: number;
  readonly markers: readonly {
    readonly epoch: Epoch;
    readonly position: LogPosition;
    /** How much was executed there. */
    readonly icount: Icount;
  }[];
}

/** A cut that is asked for: `number` counts those of one primary. */
export interface CutOrder {
  readonly cutId: string;
  readonly number: number;
  /** It is to be kept, too. */
  readonly keep?: KeepRequest | undefined;
  /** A share of the machine is compared, another one each time: it stands still for it. */
  readonly isSample?: boolean;
}

export type MachineReport =
  /** So many outputs reached the gate, over all channels; their bytes are with the driver. */
  | { readonly type: 'outputs'; readonly count: number }
  | { readonly type: 'recorded'; readonly run: RecordedRun }
  | { readonly type: 'stopped'; readonly logEnd: LogPosition }
  | { readonly type: 'notStopped'; readonly reason: string }
  | { readonly type: 'continued' }
  | { readonly type: 'notContinued'; readonly reason: string }
  | { readonly type: 'wentOn'; readonly position: LogPosition }
  /** What is recorded from here on belongs to the copy that is seeded. */
  | { readonly type: 'seedCut'; readonly position: LogPosition }
  | { readonly type: 'seedEnded'; readonly problem?: string | undefined }
  | { readonly type: 'cutMade'; readonly cutId: string; readonly position: LogPosition }
  /** Without a problem: the cut is one that a copy can be compared at. */
  | { readonly type: 'cutEnded'; readonly cutId: string; readonly problem?: string | undefined }
  /** The guest switched itself off: not a failure. */
  | { readonly type: 'poweredOff'; readonly logEnd: LogPosition }
  | { readonly type: 'hurt'; readonly reason: string; readonly stands: boolean }
  | { readonly type: 'healed' }
  | { readonly type: 'machineFailed'; readonly reason: string }
  | { readonly type: 'gone' };

/** The machine that runs here. */
export interface ProtectedMachine<OverLink = Link> {
  /** `isAwaited`: an output or a grant waits for it, so that an idle guest is woken for it. */
  sendMarker(epoch: Epoch, isAwaited: boolean): void;
  /** Stands still for this share of the time from now on, 0 to 1. */
  slowDown(share: number): void;
  /** The guest executes nothing until `go`, and its whole log comes out. */
  stop(): void;
  go(): void;
  /** Sends a copy over this link. Ends, with a problem, when the link does. */
  seed(seedId: string, link: OverLink): Seeding;
  /** Freezes the machine for a moment, for a compare of its copy. */
  cut(order: CutOrder): void;
  /** Says what the copy must find at a cut that was made, over this link. */
  sendCut(cutId: string, link: OverLink): void;
  /** Ends it at once. */
  destroy(): void;
}

/** A seed on its way: it gets what the other side says of it. */
export interface Seeding {
  take(message: LinkMessage): void;
}

export type CopyReport =
  /** It holds the state of the seed's cut and executes; it is hardly behind. */
  | { readonly type: 'copyReady'; readonly seedId: string }
  /**
   * What was received up to here is held in memory; `executed`: how much of it is known to be done.
   */
  | { readonly type: 'received'; readonly to: LogPosition; readonly executed: Icount }
  /** The same on disk. */
  | { readonly type: 'durable'; readonly to: LogPosition; readonly executed: Icount }
  /** Now and then; `isAll`: everything that was received; `lagMs`: how far it is behind. */
  | {
      readonly type: 'executed';
      readonly executed: Icount;
      readonly isAll: boolean;
      readonly lagMs: number;
    }
  /** What waits of the log of a seed, for a primary that may have to slow down. */
  | { readonly type: 'spooled'; readonly usedBytes: number; readonly budgetBytes: number }
  /** What was received says that the guest switches itself off. */
  | { readonly type: 'shutdownLogged' }
  | { readonly type: 'compared'; readonly cutId: string; readonly differences: readonly string[] }
  /** The snapshot's id, or why there is none. */
  | {
      readonly type: 'kept';
      readonly cutId: string;
      readonly snapshot?: string;
      readonly problem?: string;
      /** Asked for again, it may be kept. */
      readonly mayPass?: boolean;
    }
  /**
   * It is of no use any more. `pauseMs`: a seed sooner than that would end the same way.
   * `canTakeOver`: what it was given it can execute; more than that cannot be kept.
   */
  | {
      readonly type: 'copyFailed';
      readonly reason: string;
      readonly pauseMs?: number | undefined;
      readonly canTakeOver?: boolean;
    }
  | { readonly type: 'tookOver' }
  | { readonly type: 'takeoverFailed'; readonly reason: string }
  | { readonly type: 'gone' };

/** The backup's copy of the machine, for the life of one link. */
export interface Copy {
  /**
   * A message of the primary's machine for its copy: log, bulk, `seedBegin`, `seedOffer`,
   * `resumed`. The promise, if there is one, settles when there is room for more.
   */
  take(message: LinkMessage): void | Promise<void>;
  /**
   * Stops at the end of what was received, and compares itself with what the primary says of the
   * cut.
   */
  compare(cut: Cut): void;
  /** It may take over from now on: worth keeping. */
  granted(): void;
  takeOver(): void;
  /** The guest went off: executes what is left, then goes. */
  followPowerOff(): void;
  /** Ends it at once, and everything of it. */
  destroy(): void;
}
