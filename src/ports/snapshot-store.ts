/**
 * Snapshot store: cuts that are kept, and the log between them.
 *
 * Intuition: a snapshot is a state (device state, RAM, disks) at a cut. Its images are divided into
 * chunks that are stored once, however many snapshots and machines have them, so a snapshot costs
 * what changed since its parent. Kept log turns a kept cut into every later moment as well.
 *
 * Contract
 *  1. A snapshot is there, whole, from the moment when `commit` resolves, and survives the death of
 *     every process and of the machine. Before that nobody sees anything of it. A rejected `commit`
 *     means: it may be there; `list` tells.
 *  2. An image that has a parent takes from it what was not put. Without one, what was not put is
 *     zero. A snapshot does not need its parent afterwards: any snapshot may be removed at any
 *     time, also the parent of one that is being taken. The one that was committed last may be
 *     named as parent although it was removed; what only it needs is collected when it is the last
 *     one no more.
 *  3. What is read was checked: a snapshot, image or piece of log that is damaged or incomplete
 *     throws `store`, naming what is damaged, and is never given out in part. (A file of
 *     `materialize` that failed does not stay.)
 *  4. `collect` gives room back and never takes a chunk that a snapshot needs, that is there or is
 *     being taken. `remove` alone gives no room back.
 *  5. Log is kept in pieces; each is usable on its own, and holds whole events. Pieces of one run
 *     that adjoin are one log. Positions of different runs have nothing to do with each other.
 *  6. Log of a run is kept by `collect` from the oldest cut of the run on, of snapshots that are
 *     there or are being taken. So a snapshot is begun before the log that follows it is appended.
 *  7. One process at a time may write to a store; any number may read beside it. What a reader
 *     opened and the writer removes meanwhile throws as in 3.
 *  8. A full disk, or one that fails, throws and loses nothing that was there. What was begun can
 *     then only be aborted.
 */

import type { QemuRelease } from '../base/qemu-releases.ts';
import type { Epoch, Icount, LogPosition, Term } from '../base/units.ts';

/** The guest's memory, as QEMU maps it: one file, without the holes of its address space. */
export const ramImage = 'ram';
/** The name that a disk's image has in a snapshot. */
export const diskImage = (diskId: string): string => `disk.${diskId}`;
/** The name that a file the machine boots with has in one: `firmware`, `kernel`, `initrd`. */
export const bootImage = (file: string): string => `boot.${file}`;

/** One recording of a machine: positions of its log begin anew with each. */
export interface RunName {
  /** Name of the pair or virtual machine: letters, digits, `.`, `_`, `-`. */
  readonly vm: string;
  /**
   * One life of a recorder: a takeover begins a new one, a new term alone does not. Same letters.
   */
  readonly run: string;
}

export interface ImageFacts {
  /** `ramImage`, `diskImage` of a disk, or `bootImage` of a file. */
  readonly name: string;
  readonly bytes: number;
}

/** All that is known about a cut when it is made, and all that is needed to start from it. */
export interface SnapshotFacts extends RunName {
  readonly vmFingerprint: string;
  /** Whose event kinds the log has. */
  readonly layout: QemuRelease;
  /** As QEMU tells it, with the distribution's part. */
  readonly qemuVersion: string;
  readonly term: Term;
  readonly epoch: Epoch;
  readonly icount: Icount;
  /** Of the cut: the log goes on from here. */
  readonly position: LogPosition;
  /** The id of the next disk request. */
  readonly blockRequestId: number;
  /**
   * Of the clock on the wall of who took it, at the cut; milliseconds since 1970. It is for people:
   * nothing is ordered by it.
   */
  readonly takenAtMs: number;
  readonly seedId?: string;
  /** The VM file, word for word. */
  readonly vmFile: string;
  /** What a person wrote about it. */
  readonly label?: string;
  /** `NONCE LABEL` of a process of the guest that asked for it (src/core/guest-requests.ts). */
  readonly guest?: string;
  readonly images: readonly ImageFacts[];
}

export interface SnapshotManifest extends SnapshotFacts {
  /** Unique in the store. Letters, digits, `-`. */
  readonly id: string;
  /** Rises with each snapshot that the store was given; early ones have none. */
  readonly serial?: number;
  readonly parent?: string;
  readonly deviceStateBytes: number;
  /** What it added to the store when it was taken: compressed, without what was there already. */
  readonly addedBytes: number;
}

/** A snapshot that is being taken. `put` and `deviceState` in any order, then one of the others. */
export interface SnapshotWriter {
  readonly id: string;
  /** Of all images: `put` takes whole chunks. The last one of an image may be short. */
  readonly chunkBytes: number;
  /**
   * Bytes of whole chunks at an offset. They may be changed when it resolves. What is put twice has
   * the later content.
   */
  put(image: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** Exactly once. */
  deviceState(bytes: Uint8Array): Promise<void>;
  commit(): Promise<SnapshotManifest>;
  /** Leaves nothing behind. After `commit`, or twice, it does nothing. */
  abort(): Promise<void>;
}

/** A range of an image that differs. */
export interface ChangedRange {
  readonly offset: number;
  readonly bytes: number;
}

/** A snapshot that is there. */
export interface Snapshot {
  readonly manifest: SnapshotManifest;
  deviceState(): Promise<Buffer>;
  /** A range of an image. */
  read(image: string, offset: number, bytes: number): Promise<Buffer>;
  /** Writes an image into a new, sparse file. Throws when something is there already. */
  materialize(image: string, path: string): Promise<void>;
  /** In what chunks an image differs from that of another snapshot, in order. */
  changes(image: string, since: Snapshot): Promise<ChangedRange[]>;
}

/** A stretch of the log of one run. */
export interface LogPiece extends RunName {
  readonly layout: QemuRelease;
  readonly term: Term;
  readonly from: LogPosition;
  readonly to: LogPosition;
  readonly fromIcount: Icount;
  readonly toIcount: Icount;
  /** Of the clock on the wall, when its first and last byte were recorded or received. */
  readonly fromTimeMs: number;
  readonly toTimeMs: number;
  readonly firstEpoch: Epoch;
  readonly lastEpoch: Epoch;
  /** Events, in a form that is its writer's matter; the store compresses. */
  readonly payload: Uint8Array;
}

export type LogPieceFacts = Omit<LogPiece, 'payload'>;

export interface LogArchive {
  /**
   * Resolves when it is on the disk. A piece that is there already, with the same range, is
   * skipped.
   */
  append(piece: LogPiece): Promise<void>;
  /** What is there, in the order of its positions, without reading it. */
  list(run: RunName): Promise<LogPieceFacts[]>;
  /**
   * The pieces behind a cut, without a gap, to the end of the run. A piece may begin before the
   * cut, or before the end of the one before it: skip what is known. A gap throws `store` and names
   * it, when it is reached.
   */
  follow(cut: RunName & { readonly position: LogPosition }): AsyncIterable<LogPiece>;
}

export interface SnapshotFilter {
  readonly vm?: string;
}

export interface Collected {
  readonly freedBytes: number;
  /** Chunks that no snapshot needed. */
  readonly chunks: number;
  readonly logPieces: number;
}

/** Something that is damaged or missing. */
export interface Damage {
  /** One sentence: what and where. */
  readonly what: string;
  /** Ids of all snapshots that need it. */
  readonly snapshots: readonly string[];
}

export interface VerifyReport {
  readonly snapshots: number;
  readonly chunks: number;
  readonly logPieces: number;
  /** Read and hashed, as stored. */
  readonly bytes: number;
  readonly damaged: readonly Damage[];
}

/** What a snapshot takes up. */
export interface SnapshotUsage {
  readonly id: string;
  /**
   * What `collect` gives back when this snapshot and all older ones were removed, and not when only
   * the older ones were: its chunks, and the log up to the next snapshot.
   */
  readonly bytes: number;
}

export interface SnapshotStore {
  readonly log: LogArchive;
  /** Begins a snapshot; images of the parent that have the same name and size are inherited. */
  begin(facts: SnapshotFacts, parent?: string): Promise<SnapshotWriter>;
  /**
   * Oldest first: by term and position, never by a clock. Snapshots with a damaged manifest are
   * left out; `verify` names them.
   */
  list(filter?: SnapshotFilter): Promise<SnapshotManifest[]>;
  /** Throws `store` when there is none with this id. */
  open(id: string): Promise<Snapshot>;
  /** Also one whose manifest is damaged. Throws `store` when there is none with this id. */
  remove(id: string): Promise<void>;
  collect(): Promise<Collected>;
  /** Oldest first. */
  usage(): Promise<SnapshotUsage[]>;
  /** Reads and hashes everything. */
  verify(): Promise<VerifyReport>;
  /** Aborts what was begun. Another process may open the store then. */
  close(): Promise<void>;
}

/** What whoever takes snapshots needs of a store. */
export type WritableStore = Omit<SnapshotStore, 'open' | 'verify' | 'log'> & {
  readonly log: Pick<LogArchive, 'append'>;
};
