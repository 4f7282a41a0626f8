/**
 * What a node is told, and what it is to do: the two alphabets of src/core/node.ts.
 *
 * Links are named by numbers, which the driver gives. An `ask` is a question that somebody waits
 * for the answer of; its number is its asker's.
 */
import type { Epoch, Icount, LogPosition, Term } from '../base/units.ts';
import type { ArbiterState, CompareAndSetResult } from '../ports/arbiter.ts';
import type { Cut, Hello, KeepRequest, LinkMessage } from '../ports/link.ts';
import type { CopyReport, CutOrder, MachineReport, RecordedRun } from '../ports/machine.ts';
import type { DetectorEffect } from './failure-detector.ts';

export type LinkId = number;

/** What a core may be told of the peer by its hello. */
export type PeerHello = Pick<Hello, 'node' | 'term' | 'standing'>;

/** What this node has on its disks, as far as it matters for what it may do without a machine. */
export interface DisksSeen {
  /** The machine of the term asked for was kept here, to go on from. */
  readonly canRestart: boolean;
  /** The last term of which all acknowledged log is here; 0: none. */
  readonly logged: Term;
  /** Why this node must not boot what it has. */
  readonly problem?: string | undefined;
}

export type NodeEvent =
  | { readonly type: 'timer' }
  // the arbiter, each by the number it was asked with
  | { readonly type: 'arbiterRead'; readonly ask: number; readonly state: ArbiterState | undefined }
  | { readonly type: 'arbiterSet'; readonly ask: number; readonly result: CompareAndSetResult }
  /** `mayPass`: it only does not answer now. */
  | {
      readonly type: 'arbiterFailed';
      readonly ask: number;
      readonly reason: string;
      readonly mayPass: boolean;
    }
  // the peer; without a link it does not answer
  | {
      readonly type: 'dialled';
      readonly link?: LinkId;
      readonly hello?: PeerHello;
      /** It answers, and the two refuse each other. */
      readonly isRefused?: boolean;
    }
  | { readonly type: 'linkOpened'; readonly link: LinkId; readonly hello: PeerHello }
  | { readonly type: 'linkClosed'; readonly link: LinkId; readonly reason: string }
  | { readonly type: 'message'; readonly link: LinkId; readonly message: LinkMessage }
  // this node's disks
  | ({ readonly type: 'disksSeen' } & DisksSeen)
  | { readonly type: 'remembered'; readonly term: Term }
  | { readonly type: 'notRemembered'; readonly term: Term; readonly reason: string }
  // the machine
  | { readonly type: 'booted' }
  | { readonly type: 'notBooted'; readonly reason: string }
  | Exclude<MachineReport, { type: 'gone' }>
  | Exclude<CopyReport, { type: 'gone' }>
  /** Nothing is left of the machine, or of the copy. */
  | { readonly type: 'gone' }
  // people and programs
  | { readonly type: 'asked'; readonly ask: number; readonly for: Wish };

export type Wish =
  | { readonly wish: 'compare' }
  | ({ readonly wish: 'snapshot' } & KeepRequest)
  | { readonly wish: 'drill' }
  /** The machine is to go back to what was prepared of its past, for this reason. */
  | { readonly wish: 'goBack'; readonly reason: string }
  /** A line of a group's set; outputs wait for it at most so long. */
  | { readonly wish: 'line'; readonly set: string; readonly holdMaxMs: number }
  /** All members have passed the line of this set. */
  | { readonly wish: 'open'; readonly set: string };

/** What a group asks a member for (line.ts). */
export type LineWish = Extract<Wish, { wish: 'line' | 'open' }>;

export type Answer =
  | { readonly type: 'compared'; readonly equal: boolean; readonly differences: readonly string[] }
  /** `term`: that of the machine, where it is known. */
  | { readonly type: 'kept'; readonly snapshot: string; readonly term?: Term }
  | ({ readonly type: 'passed' } & LinePassed)
  /** `isHeld`: from its marker up to now, for so long. */
  | {
      readonly type: 'opened';
      readonly term: Term;
      readonly isHeld: boolean;
      readonly heldMs: number;
    }
  | { readonly type: 'begun' }
  | {
      readonly type: 'refused';
      readonly code: 'cut' | 'store' | 'link' | 'takeover' | 'resources';
      readonly problem: string;
      readonly hint?: string;
      readonly mayPass?: boolean;
    };

/** Where a line lies in the log of a machine. */
interface LinePassed {
  readonly term: Term;
  readonly epoch: Epoch;
  readonly position: LogPosition;
  readonly icount: Icount;
}

export type NodeEffect =
  // the arbiter
  | { readonly type: 'readArbiter'; readonly ask: number }
  | {
      readonly type: 'compareAndSet';
      readonly ask: number;
      readonly expected: ArbiterState | undefined;
      readonly next: ArbiterState;
    }
  // the peer
  | { readonly type: 'dialPeer' }
  | { readonly type: 'send'; readonly link: LinkId; readonly message: LinkMessage }
  | { readonly type: 'closeLink'; readonly link: LinkId; readonly reason: string }
  // this node's disks; `term`: the last one that the arbiter gave
  | { readonly type: 'lookAtDisks'; readonly term: Term }
  /** Durably: the machine is going to speak in this term. */
  | { readonly type: 'remember'; readonly term: Term }
  // the machine
  /** `isBack`: from its past, which somebody asked for; nothing is left of the one before. */
  | { readonly type: 'boot'; readonly term: Term; readonly isBack?: boolean }
  | { readonly type: 'sendMarker'; readonly epoch: Epoch; readonly isAwaited: boolean }
  /** The machine may be heard from now on: it is announced, and what is released leaves. */
  | { readonly type: 'speak' }
  /** All outputs up to and including this number may leave. */
  | { readonly type: 'release'; readonly through: number }
  | { readonly type: 'slowDown'; readonly share: number }
  | { readonly type: 'stop' }
  | { readonly type: 'go' }
  | { readonly type: 'seed'; readonly seedId: string; readonly link: LinkId }
  | {
      readonly type: 'ship';
      readonly link: LinkId;
      readonly term: Term;
      readonly run: RecordedRun;
      /** It travels as it is (log-packing.ts). */
      readonly isPlain: boolean;
    }
  | ({ readonly type: 'cut' } & CutOrder)
  | { readonly type: 'sendCut'; readonly link: LinkId; readonly cutId: string }
  /** A word of the backup for the seed that is on its way. */
  | { readonly type: 'tellSeed'; readonly message: LinkMessage }
  | { readonly type: 'destroyMachine'; readonly reason: string }
  // the copy
  | { readonly type: 'makeCopy'; readonly link: LinkId; readonly term: Term }
  | { readonly type: 'feed'; readonly message: LinkMessage }
  | { readonly type: 'compare'; readonly cut: Cut }
  | { readonly type: 'copyGranted' }
  | { readonly type: 'takeOver'; readonly term: Term }
  | { readonly type: 'followPowerOff' }
  | { readonly type: 'discardCopy'; readonly reason: string }
  // what people see
  | { readonly type: 'answer'; readonly ask: number; readonly answer: Answer }
  | { readonly type: 'became'; readonly role: 'primary' | 'backup' | 'none'; readonly term: Term }
  | {
      readonly type: 'changed';
      readonly role: 'primary' | 'backup';
      readonly from: string;
      readonly to: string;
    }
  /** `undefined`: nothing is waited for any more. */
  | { readonly type: 'waiting'; readonly reason: string | undefined }
  | { readonly type: 'noted'; readonly what: Note }
  /** What is wrong from now on with the part that it is about; `undefined`: nothing any more. */
  | { readonly type: 'concern'; readonly about: string; readonly problem: string | undefined }
  /** The node is done: the guest is off. */
  | { readonly type: 'leave' }
  /** The node cannot go on: a person has to look. */
  | { readonly type: 'fail'; readonly reason: string };

/** What is worth a line for people, and decides nothing. */
export type Note =
  | Exclude<DetectorEffect, { type: 'sendHeartbeat' | 'suspect' }>
  | { readonly type: 'backupLost'; readonly reason: string }
  | { readonly type: 'primaryLost'; readonly reason: string }
  | {
      readonly type: 'cutCompared';
      readonly equal: boolean;
      readonly differences: readonly string[];
    }
  | { readonly type: 'notKept'; readonly reason: string }
  | { readonly type: 'notRemembered'; readonly term: Term; readonly reason: string }
  | { readonly type: 'guestStands'; readonly reason: string }
  /** Log cannot be kept on the disk, and nobody is acknowledged any more. */
  | { readonly type: 'logNotKept'; readonly reason: string }
  | { readonly type: 'machineEnded'; readonly outcome: string }
  | { readonly type: 'seedAbandoned'; readonly reason: string; readonly pauseMs: number }
  | LineEnded;

/** A group's line holds no longer; `why`: it was not opened. */
export interface LineEnded {
  readonly type: 'lineEnded';
  readonly set: string;
  /** From its marker on. */
  readonly heldMs: number;
  readonly why: string | undefined;
}

/** Where effects are put. */
export type Emit = (effect: NodeEffect) => void;
