/**
 * Link: how one node of a pair speaks to the other, and the words of that language.
 *
 * Intuition: four kinds of message share one connection. The log and what steers it are small and
 * urgent; bulk (seeding: RAM, disks, device state) is large and patient. So bulk may always be
 * overtaken, and both log and bulk flow only as fast as the receiver takes them.
 *
 * Contract
 *  1. Reliable while it lives: what arrives is whole, unaltered, once. What was sent shortly before
 *     the link closed may be lost, always from the end of the orders below: there are no gaps.
 *  2. Log, ack and control messages arrive in the order of `send`, with two exceptions: a heartbeat
 *     may overtake anything, and an ack that still waits right behind another ack replaces it (acks
 *     are cumulative).
 *  3. Blobs arrive in the order of `send` among themselves. Any other message may overtake them; a
 *     blob never overtakes a control message that was sent before it.
 *  4. `send` never blocks. On a closed link it does nothing; `onClose` tells.
 *  5. Log and bulk each have a credit in bytes that the receiver grants: bytes sent and not yet
 *     taken never exceed it. Log without credit waits in the sender's queue, whose length
 *     `status()` tells: slow the producer down. A queue past its limit closes the link.
 *  6. A blob may be sent after `ready()` resolved; one per resolution. A sender that does not wait
 *     for `ready()` has a bug and gets an error from `send`.
 *  7. The handler takes a message by returning, or by settling the promise that it returned; credit
 *     goes back then. It may be called again before a promise settled. A handler that throws or
 *     rejects closes the link with that error. It must not make a log message wait for a blob.
 *  8. Messages that arrive before `onMessage` was called wait for it. A payload may share memory
 *     with other messages and must not be written to. A payload given to `send` may be reused at
 *     once.
 *  9. `onClose` handlers are called exactly once each, after every message received was handed
 *     over, also when they are set on a link that is closed already. No message is handed over
 *     after `close()` was called on this side.
 * 10. The link never decides that the peer is dead because it is silent: `lastReceivedAt` is a
 *     fact, the judgement is the failure detector's.
 * 11. Every message carries a term and the link does not judge it: refusing older ones is the
 *     core's.
 */
import type { UnderstudyError } from '../base/errors.ts';
import type { QemuRelease } from '../base/qemu-releases.ts';
import type { Icount, LogPosition, Millis, Term } from '../base/units.ts';

/** A stretch of the event log: whole events only. */
export interface LogFrame {
  readonly kind: 'log';
  readonly term: Term;
  readonly from: LogPosition;
  readonly to: LogPosition;
  /** Instructions executed at `to`. */
  readonly icount: Icount;
  /** Bytes of the payload once unpacked: what the receiver must be ready to hold. */
  readonly rawBytes: number;
  /** How the payload is packed, 0-255; the log layer gives the numbers their meaning. */
  readonly codec: number;
  readonly payload: Uint8Array;
}

/** A piece of a bulk transfer. */
export interface BlobFrame {
  readonly kind: 'blob';
  readonly term: Term;
  /** Which transfer, 0-255; `seedBegin` or `cut` gives the numbers their meaning. */
  readonly stream: number;
  /** Where the payload belongs in its stream. What is left out stays as it is there. */
  readonly offset: number;
  /** So many zeros belong at `offset`. There is no payload then. */
  readonly zeroBytes?: number;
  /** True on the last piece of the stream, whose payload may be empty. */
  readonly last: boolean;
  readonly payload: Uint8Array;
}

/** What the backup holds and has executed. Cumulative. */
export interface AckFrame {
  readonly kind: 'ack';
  readonly term: Term;
  /** The log is held up to here (in memory or on disk, by policy). */
  readonly received: LogPosition;
  readonly appliedIcount: Icount;
}

export interface ControlFrame {
  readonly kind: 'control';
  readonly term: Term;
  readonly control: Control;
}

export type LinkMessage = LogFrame | BlobFrame | AckFrame | ControlFrame;

export interface DiskOffer {
  readonly id: string;
  readonly bytes: number;
}

/** Digests of a state, to be compared at a cut. */
export interface StateDigest {
  /**
   * One 32-bit checksum a block of RAM, so that a difference can be named; `null`: not compared.
   */
  readonly ram: readonly (number | null)[];
}

/** Everything the nodes say to each other that is neither log, ack nor bulk. */
export type Control =
  | SeedBegin
  | SeedHave
  | SeedOffer
  | SeedSpool
  | { readonly type: 'seedReady'; readonly seedId: string }
  | { readonly type: 'seedFailed'; readonly seedId: string; readonly reason: string }
  /** The backup may take over from here on. */
  | { readonly type: 'grant' }
  | Cut
  | CutResult
  | Kept
  | SnapshotRequest
  | SnapshotResult
  /** The machine was stopped at this position, and went on without a cut. */
  | { readonly type: 'resumed'; readonly position: LogPosition }
  | Heartbeat
  /** The guest powered itself off at this position. */
  | { readonly type: 'powerOff'; readonly reason: string; readonly position: LogPosition }
  /** Take over now, on purpose. */
  | { readonly type: 'drill' }
  /** A frame of an older term was refused: this is the current one. */
  | { readonly type: 'staleTerm'; readonly refused: Term; readonly current: Term };

/** A seed begins: RAM and disks follow as blobs, in rounds, while the machine runs. */
export interface SeedBegin {
  readonly type: 'seedBegin';
  readonly seedId: string;
  readonly ramBytes: number;
  readonly disks: readonly DiskOffer[];
}

/**
 * The backup's answer to `seedBegin`: what it holds from earlier. For each stream named, digests of
 * its blocks follow as blobs of the same number, from the backup to the primary.
 */
export interface SeedHave {
  readonly type: 'seedHave';
  readonly seedId: string;
  /** The seed that broke off and is gone on with, if it is that. */
  readonly resumes?: string;
  /** Bytes with content, holes not counted. */
  readonly streams: readonly { readonly stream: number; readonly bytes: number }[];
}

/** How much log waits at a backup that does not execute yet: the primary may slow down. */
export interface SeedSpool {
  readonly type: 'seedSpool';
  readonly usedBytes: number;
  readonly budgetBytes: number;
}

/**
 * The cut of a seed: what has not arrived of RAM and disks follows, and the log goes on from it.
 */
export interface SeedOffer {
  readonly type: 'seedOffer';
  readonly seedId: string;
  readonly ramBytes: number;
  readonly deviceStateBytes: number;
  readonly disks: readonly DiskOffer[];
  /** The log goes on from here. */
  readonly logPosition: LogPosition;
  readonly icount: Icount;
  /** Number of the next disk request, for telling uncertain ones at a takeover. */
  readonly blockRequestId?: number;
}

export interface Cut {
  readonly type: 'cut';
  readonly cutId: string;
  readonly position: LogPosition;
  readonly icount: Icount;
  readonly deviceStateBytes: number;
  readonly digest: StateDigest;
  /** How the primary last judged its clock, in hexadecimal; left out by a machine that does not. */
  readonly judgement?: string;
  /** The backup is to keep this cut as a snapshot; it answers with `kept`. */
  readonly keep?: KeepRequest;
  /** One of many that nobody waits for: a share of the machine is compared. */
  readonly isSample?: boolean;
}

export interface KeepRequest {
  /** What a person wrote about it. */
  readonly label?: string | undefined;
  /** A process of the guest asked for it (guest-requests.ts). */
  readonly guest?: string | undefined;
}

/** What became of a cut that was to be kept. */
export interface Kept {
  readonly type: 'kept';
  readonly cutId: string;
  /** Id of the snapshot. */
  readonly snapshot?: string;
  /** Why there is none. */
  readonly problem?: string;
  /** Asked for again, it may be kept. */
  readonly mayPass?: boolean;
}

/** The backup was asked for a snapshot, and asks the primary for a cut that is kept. */
export interface SnapshotRequest {
  readonly type: 'snapshotRequest';
  /** Of the backup's choice, for the answer. */
  readonly requestId: string;
  readonly label?: string;
}

/** What became of a `snapshotRequest`; never without the one or the other. */
export interface SnapshotResult {
  readonly type: 'snapshotResult';
  readonly requestId: string;
  /** Id of the snapshot: it is in the store. */
  readonly snapshot?: string;
  /** Why there is none. */
  readonly problem?: string;
  /** Asked for again, it may be kept. */
  readonly mayPass?: boolean;
}

export interface CutResult {
  readonly type: 'cutResult';
  readonly cutId: string;
  readonly equal: boolean;
  /** What differs, in words; empty when equal. */
  readonly differences: readonly string[];
}

export interface Heartbeat {
  readonly type: 'heartbeat';
  /** On the sender's own monotonic clock. */
  readonly sentAtMs: number;
  /** The last heartbeat that the sender got, for the round trip: now - sentAtMs - heldMs. */
  readonly echo?: { readonly sentAtMs: number; readonly heldMs: number };
}

/** What a node has of the machine, for its peer's decision what to do (src/core/membership.ts). */
export interface Standing {
  readonly role: 'primary' | 'backup' | 'none';
  /** It may take over or boot: it was granted, claims a term, or won one and does not speak yet. */
  readonly isGranted: boolean;
  /** The last term in which this node's machine spoke; 0: none. */
  readonly spoken: Term;
  /**
   * The last term of which all acknowledged log is on this node's disk (`ack: durable`); 0: none.
   */
  readonly logged: Term;
}

/** Something of a machine that must be equal on both sides. */
export interface MachinePart {
  /** As an operator calls it: `memory`. */
  readonly what: string;
  /** Short, equal on both sides if the part is: `512 MiB`. */
  readonly value: string;
}

/** What a node says of itself before anything else. */
export interface Hello {
  /** Version of the control messages; both sides must speak the same one. */
  readonly protocol: number;
  readonly node: string;
  readonly pair: string;
  /** Version of QEMU, as it prints it. */
  readonly qemu: string;
  readonly logLayout: QemuRelease;
  /** Version of an older QEMU, whose machine it takes over with its own. */
  readonly upgradeFrom?: string;
  /** Digest of everything about the machine that must be equal on both sides. */
  readonly vmFingerprint: string;
  /** The same in an operator's words, to say what differs. */
  readonly machine?: readonly MachinePart[];
  /** Which Understudy it runs. */
  readonly program?: string;
  /** Identity of the arbiter that it knows; left out: it has seen none yet. */
  readonly arbiter?: string;
  /** As a primary: the term it speaks in. Otherwise the last one it knows of. */
  readonly term: Term;
  /** Left out: it has nothing of the machine. */
  readonly standing?: Standing;
}

export type LinkCloseCode =
  | 'closed' // on purpose, by either side
  | 'vanished' // the connection broke without a word
  | 'refused' // the hello exchange failed
  | 'bad-frame' // what arrived is not a frame of this protocol
  | 'credit' // the peer sent more than it was granted
  | 'overflow' // the sender's own queue is past its limit: the peer does not take
  | 'handler'; // a message handler failed

export interface LinkClosed {
  /** Who ended it. */
  readonly by: 'us' | 'peer' | 'network';
  readonly code: LinkCloseCode;
  /** One line for people. */
  readonly message: string;
  readonly error?: UnderstudyError;
}

/** Facts about a link, all in bytes where not said otherwise. */
export interface LinkStatus {
  readonly open: boolean;
  /** Log sent and not yet taken by the peer, as far as it said: up to 512 KiB less may be true. */
  readonly logInFlightBytes: number;
  /** Log that waits here for credit or for the connection. */
  readonly logQueuedBytes: number;
  readonly bulkInFlightBytes: number;
  readonly bulkQueuedBytes: number;
  /** When the last frame of any kind arrived, on the clock the link was made with. */
  readonly lastReceivedAt: Millis;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export type MessageHandler = (message: LinkMessage) => void | Promise<void>;

export interface Link {
  /** Who is at the other end, as it said in its hello. */
  readonly peer: Hello;
  send(message: LinkMessage): void;
  /** Resolves when a blob may be sent; rejects when the link is closed. */
  ready(): Promise<void>;
  /** Sets the one message handler. */
  onMessage(handler: MessageHandler): void;
  onClose(handler: (closed: LinkClosed) => void): void;
  /** Lets what has credit leave, then ends the link; the peer is told the reason. */
  close(reason: string): void;
  status(): LinkStatus;
}
