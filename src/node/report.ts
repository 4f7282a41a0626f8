/**
 * What a node tells about itself: one stream of small facts that faces (status, demo, metrics)
 * watch. Observation only; nothing in the node listens to it.
 */
import { type Observable, Subject } from 'rxjs';

interface TakeoverTimes {
  /** From the loss of the link to the won term, milliseconds. */
  readonly claimMs: number;
  /** From the won term until all log was executed and proven. */
  readonly drainMs: number;
  /** From there until the successor ran. */
  readonly loadMs: number;
  /** Wall clock when the loss was noticed and when the machine ran again, milliseconds. */
  readonly lostAt: number;
  readonly runningAt: number;
  /** Log that was received and not yet executed when the link was lost, bytes. */
  readonly backlogBytes: number;
  /** Disk requests in flight whose completion was made certain. */
  readonly completions: number;
}

/** What a compare of primary and backup at a cut found. */
export interface Comparison {
  readonly equal: boolean;
  /** What differs, in words; empty when equal. */
  readonly differences: readonly string[];
}

export type NodeEvent =
  | { readonly type: 'role'; readonly role: 'primary' | 'backup'; readonly term: number }
  | { readonly type: 'state'; readonly state: string; readonly detail?: string }
  | {
      readonly type: 'cut';
      readonly purpose: 'seed' | 'verify';
      /** The guest stood still, by QEMU's own stamps. */
      readonly pauseMs: number;
      /** The same as the node saw it, from its command to the answer. */
      readonly roundTripMs: number;
      /** Part of the pause that compared or read the RAM. */
      readonly ramMs: number;
      readonly discarded: number;
      /** Part of the pause of a seed that then waited for the copies of the disks to begin. */
      readonly disksMs?: number;
      /** RAM of a seed that was sent in each round; the last one is that of the pause. */
      readonly bytesPerRound?: readonly number[];
    }
  /**
   * `clockTaken`: by a backup whose copy took the primary's judgement of the clock, and was equal
   * then.
   */
  | ({
      readonly type: 'cutCompared';
      readonly clockTaken?: boolean;
      /** On the backup: blocks of disks that were compared with the primary's. */
      readonly diskBlocks?: number;
    } & Comparison)
  /** `resumes`: the seed that broke off; `haveBytes`: what the backup says it has from earlier. */
  | {
      readonly type: 'seedBegun';
      readonly seedId: string;
      readonly haveBytes: number;
      readonly resumes?: string;
    }
  /** All was sent: `bytes`, of which RAM and disks; zeros and what the backup had do not count. */
  | {
      readonly type: 'seeded';
      readonly bytes: number;
      readonly ramBytes: number;
      readonly diskBytes: number;
      readonly haveBytes: number;
      readonly ms: number;
    }
  /** A seed went on where seed `from` broke off. */
  | {
      readonly type: 'seedResumed';
      readonly from: string;
      readonly haveBytes: number;
      readonly sentBytes: number;
    }
  /** A backup gave a seed up because its spool was full; it comes back after `pauseMs`. */
  | { readonly type: 'seedAbandoned'; readonly reason: string; readonly pauseMs: number }
  | { readonly type: 'lag'; readonly ms: number; readonly bytes: number }
  | {
      /** Sums since this machine was started here: log, instructions, markers that came back. */
      readonly type: 'log';
      readonly icount: number;
      readonly epochs: number;
      readonly rawBytes: number;
      readonly wireBytes: number;
      readonly ms: number;
    }
  | {
      readonly type: 'hold';
      readonly p50Ms: number;
      readonly p99Ms: number;
      readonly count: number;
    }
  | ({ readonly type: 'takeover' } & TakeoverTimes)
  | { readonly type: 'firstOutput'; readonly at: number }
  | { readonly type: 'replicaDiscarded'; readonly reason: string }
  /**
   * A cut was kept: what it added to the store, what the copy stood still for, and how long storing
   * it took.
   */
  | {
      readonly type: 'snapshot';
      readonly id: string;
      readonly addedBytes: number;
      readonly ramMs: number;
      readonly disksMs: number;
      readonly ms: number;
    }
  /** A cut that was to be kept was not; `dropped`: how many, for this copy. */
  | { readonly type: 'snapshotDropped'; readonly reason: string; readonly dropped: number }
  /** The store, or the log kept in it, has a problem that protection does not feel. */
  | { readonly type: 'snapshotTrouble'; readonly reason: string }
  /**
   * A snapshot is in the store of `copyTo`, whole: what was written there, how long it took, and
   * how many are not there yet.
   */
  | {
      readonly type: 'snapshotCopied';
      readonly id: string;
      readonly bytes: number;
      readonly ms: number;
      readonly waiting: number;
    }
  /** A snapshot, or a piece of log (its file), will not be there. */
  | { readonly type: 'snapshotNotCopied'; readonly id: string; readonly reason: string }
  /**
   * The machine went on from a snapshot and its log: their end was `agoMs` before it ran again.
   * `complete`: the log was that of `ack: durable`, and nothing that was ever acknowledged is
   * missing.
   */
  | {
      readonly type: 'restarted';
      readonly snapshot: string;
      readonly icount: number;
      readonly agoMs: number;
      readonly complete: boolean;
    }
  /** The guest failed by itself, and what the policy says to that. */
  | {
      readonly type: 'guestFailed';
      readonly kind: 'panic' | 'silence';
      /** The line of its console, or how long it said nothing. */
      readonly what: string;
      /** Executed when it was well; 0: not known. */
      readonly icount: number;
      readonly action: 'tell' | 'restore';
    }
  /**
   * It went back to a snapshot: what it did in `lostMs` is lost, also what was acknowledged.
   * `restores`: how many times it did within the policy's time.
   */
  | {
      readonly type: 'wentBack';
      readonly snapshot: string;
      readonly icount: number;
      readonly lostMs: number;
      readonly restores: number;
    }
  /** It could not, or may not any more: the guest is as it is. */
  | { readonly type: 'guestStays'; readonly reason: string }
  /** A line of a group's set held outputs for so long; `reason`: why it was not opened. */
  | {
      readonly type: 'line';
      readonly set: string;
      readonly heldMs: number;
      readonly reason?: string;
    }
  | { readonly type: 'memory'; readonly rssBytes: number }
  /** Something is wrong from now on, or with `undefined` no longer (concerns.ts). */
  | { readonly type: 'concern'; readonly about: string; readonly problem: string | undefined }
  | { readonly type: 'ended'; readonly outcome: string };

/** The stream and the one function that feeds it. */
export class Reporter {
  readonly #subject = new Subject<NodeEvent>();

  get events(): Observable<NodeEvent> {
    return this.#subject;
  }

  report(event: NodeEvent): void {
    this.#subject.next(event);
  }

  end(): void {
    this.#subject.complete();
  }
}
