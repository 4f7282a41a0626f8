/**
 * What the primary's half of the protocol (primary.ts) is told, what it answers, and its states.
 */
import type { Epoch, Icount, LogPosition, Millis, Term } from '../base/units.ts';
import type { Answer, LineEnded } from './effects.ts';

export type PrimaryEvent =
  /** Outputs of the guest reached the gate, over all channels. */
  | { readonly type: 'outputs'; readonly count: number }
  /** A marker came back at this position; everything before it has been given to the link. */
  | {
      readonly type: 'markerSeen';
      readonly epoch: Epoch;
      readonly position: LogPosition;
      readonly icount: Icount;
    }
  | { readonly type: 'backupJoined'; readonly backup: string }
  /** The backup holds the state of a cut and the log after it, and executes. */
  | { readonly type: 'backupReady' }
  | { readonly type: 'ack'; readonly position: LogPosition }
  /** The link broke, was silent for too long, or the seed failed. */
  | { readonly type: 'backupLost'; readonly reason: string }
  /** It works, and flow control gave it up. */
  | { readonly type: 'backupTooSlow'; readonly reason: string }
  /** It is on this node's disk, too. */
  | { readonly type: 'termWon'; readonly term: Term }
  /** The backup has the term, and has yet to prove that it can take over. */
  | { readonly type: 'termContested'; readonly holder: string }
  /** The node that has the term says that it has no machine and will get none. */
  | { readonly type: 'winnerGaveUp' }
  | { readonly type: 'termLost'; readonly holder: string }
  | { readonly type: 'arbiterUnreachable'; readonly reason: string }
  /** A message or hello spoke of this term. */
  | { readonly type: 'termHeard'; readonly term: Term }
  /** A marker is wanted at once, for what has happened up to now. */
  | { readonly type: 'markerWanted' }
  /** An operator wants the backup to take over. */
  | { readonly type: 'drill' }
  /** The machine is to go back to its past, for this reason. */
  | { readonly type: 'goBack'; readonly reason: string }
  /** After `stopGuest`: the guest stands, and all its log was given to the link. */
  | { readonly type: 'guestStopped'; readonly logEnd: LogPosition }
  /** After `stopGuest`: it could not be stopped with its whole log, and runs. */
  | { readonly type: 'guestNotStopped'; readonly reason: string }
  /** The guest powered itself off: not a failure. */
  | { readonly type: 'guestPoweredOff'; readonly logEnd: LogPosition }
  | { readonly type: 'machineFailed'; readonly reason: string }
  | { readonly type: 'timer' };

export type PrimaryEffect =
  /** Of a line (line.ts). */
  | { readonly type: 'answer'; readonly ask: number; readonly answer: Answer }
  | { readonly type: 'noted'; readonly what: LineEnded }
  /** `isAwaited`: an output or the grant waits for it. */
  | { readonly type: 'sendMarker'; readonly epoch: Epoch; readonly isAwaited: boolean }
  /** All outputs up to and including this number may leave. */
  | { readonly type: 'release'; readonly through: number }
  | { readonly type: 'seed'; readonly backup: string }
  | { readonly type: 'refuseBackup'; readonly backup: string; readonly reason: string }
  /** Tells the backup that it may take over from here on. */
  | { readonly type: 'grant' }
  /** Tells the backup to take over now; everything it needs was acknowledged. */
  | { readonly type: 'handOver' }
  | { readonly type: 'dropBackup'; readonly reason: string }
  /** Asks the arbiter for the term after `expected`; `overtakes`: see ClaimWish (terms.ts). */
  | { readonly type: 'claimTerm'; readonly expected: Term; readonly overtakes: boolean }
  /** The guest executes nothing until `continueGuest`. */
  | { readonly type: 'stopGuest' }
  | { readonly type: 'continueGuest' }
  | { readonly type: 'changed'; readonly from: PrimaryState; readonly to: PrimaryState }
  | { readonly type: 'destroyMachine'; readonly reason: string }
  | { readonly type: 'end'; readonly outcome: PrimaryOutcome };

/** `wentBack`: it goes on here, from its past, in the term that it has now. */
type PrimaryOutcome = 'poweredOff' | 'termLost' | 'failed' | 'wentBack';

/** What a won term is for: speak, wait for a backup, or end the machine for its past. */
export type AfterClaim = 'alone' | 'holding' | 'back';

export type PrimaryState =
  /** A takeover: the machine runs, and the term to speak in is not won, or not on the disk yet. */
  | { readonly kind: 'proving'; readonly retryAt: Millis | undefined }
  | { readonly kind: 'alone' }
  /** `silent`: the gate is closed meanwhile, because the policy is to hold. */
  | { readonly kind: 'seeding'; readonly backup: string; readonly silent: boolean }
  /** The backup is ready; the grant waits for this marker. */
  | {
      readonly kind: 'granting';
      readonly backup: string;
      readonly silent: boolean;
      readonly marker: Epoch | undefined;
    }
  | { readonly kind: 'protected'; readonly backup: string }
  /** A granted backup is gone or a newer term was heard of; nothing leaves until a term is won. */
  | {
      readonly kind: 'claiming';
      readonly retryAt: Millis | undefined;
      readonly then: AfterClaim;
      /** Why the backup, which knows nothing of the claim, is dropped by a won one. */
      readonly dropping: string | undefined;
    }
  /** The backup has the term: the machine stands ready until its takeover is proved, or is not. */
  | {
      readonly kind: 'yielding';
      readonly since: Millis;
      readonly retryAt: Millis | undefined;
      readonly then: AfterClaim;
      readonly overtakes: boolean;
    }
  /** The term is won, and by policy nothing leaves without a backup. */
  | { readonly kind: 'holding' }
  /** A drill: `logEnd` once the guest stands, `told` once the backup was told. */
  | {
      readonly kind: 'handingOver';
      readonly backup: string;
      readonly since: Millis;
      readonly logEnd: LogPosition | undefined;
      readonly told: boolean;
    }
  /** The guest is off; its last outputs wait for their acknowledgement. */
  | { readonly kind: 'poweringOff'; readonly since: Millis; readonly logEnd: LogPosition }
  | { readonly kind: 'ended' };

export interface PrimaryOptions {
  /** The term this node holds when it starts. */
  readonly term: Term;
  /** Whether it may speak in that one; an unproven one is followed by a claim. @default true */
  readonly isProven?: boolean;
  readonly epochMs: number;
  /** @default limits.heldOutputsMax */
  readonly heldOutputsMax?: number;
  /** What happens when a granted backup is lost and the term is won: go on, or stay silent. */
  readonly onBackupLost: 'runAlone' | 'hold';
}
