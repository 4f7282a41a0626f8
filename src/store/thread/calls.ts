/** What the thread of a store is asked, and what it answers. */
import type { ErrorParts } from '../../base/error-parts.ts';
import type {
  Collected,
  LogPiece,
  SnapshotFacts,
  SnapshotFilter,
  SnapshotManifest,
  SnapshotUsage,
} from '../../ports/snapshot-store.ts';
import type { WritingNode } from '../owner.ts';

/** The store to open. */
export interface ThreadStart {
  readonly directory: string;
  readonly node: WritingNode;
}

/** A snapshot that is being taken: `writer` stands for it in later calls. */
export interface BegunSnapshot {
  readonly writer: number;
  readonly id: string;
  readonly chunkBytes: number;
}

/**
 * As in `SnapshotStore`, `SnapshotWriter` and `LogArchive`. `open` is the first one, `close` the
 * last.
 */
export interface StoreCalls {
  open(): void;
  begin(facts: SnapshotFacts, parent: string | undefined): BegunSnapshot;
  put(writer: number, image: string, offset: number, bytes: Uint8Array): void;
  deviceState(writer: number, bytes: Uint8Array): void;
  commit(writer: number): SnapshotManifest;
  abort(writer: number): void;
  append(piece: LogPiece): void;
  list(filter: SnapshotFilter): SnapshotManifest[];
  usage(): SnapshotUsage[];
  remove(id: string): void;
  collect(): Collected;
  close(): void;
}

export type CallName = keyof StoreCalls;

export interface Request<K extends CallName = CallName> {
  readonly request: number;
  readonly call: K;
  readonly args: Parameters<StoreCalls[K]>;
}

export type Answer = { readonly request: number } & (
  | { readonly value: unknown }
  | { readonly refused: ErrorParts }
);
