/** What the thread of a store is asked, and how errors come back from it. */
import { asError, type ErrorCode, UnderstudyError } from '../../base/errors.ts';
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

/** As in `SnapshotStore`, `SnapshotWriter` and `LogArchive`. `open` is the first one, `close` the last. */
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
  | { readonly error: SentError }
);

/** An error as it passes between threads, which takes a class's name and fields away. */
export interface SentError {
  readonly message: string;
  /** Of an `UnderstudyError`. */
  readonly details?: {
    readonly code: ErrorCode;
    readonly hint: string | undefined;
    readonly mayPass: boolean;
  };
  readonly cause?: SentError;
}

export function sentError(thrown: unknown): SentError {
  const error = asError(thrown);
  const { message, cause } = error;
  return {
    message,
    ...(cause === undefined ? {} : { cause: sentError(cause) }),
    ...(error instanceof UnderstudyError
      ? { details: { code: error.code, hint: error.hint, mayPass: error.mayPass } }
      : {}),
  };
}

export function receivedError({ message, details, cause: sent }: SentError): Error {
  const cause = sent === undefined ? {} : { cause: receivedError(sent) };
  if (details === undefined) return new Error(message, cause);
  const { code, hint, mayPass } = details;
  return new UnderstudyError(code, message, {
    ...cause,
    ...(hint === undefined ? {} : { hint }),
    mayPass,
  });
}
