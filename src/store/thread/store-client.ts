/**
 * A store that is written to in a thread of its own.
 *
 * Intuition: to hash, compress and look up what a snapshot adds takes the time of several dozen
 * acknowledgements, and a node that is late with those holds its guest's outputs. So the node's own
 * thread hands the bytes on, and one that stands back behind all others does the work.
 *
 * Contract
 *  1. It is the store of `openStore`, call by call: same results, same errors, calls of one
 *     snapshot in the order in which they were made.
 *  2. A call that the thread does not live to answer throws `store`, and so does every later one.
 *     The store stays claimed by this process: what is in it can be read, and written to when the
 *     process has ended.
 *  3. After `close` there is no thread.
 */
import type { Worker } from 'node:worker_threads';
import { errorFrom } from '../../base/error-parts.ts';
import { type ErrorDetails, UnderstudyError } from '../../base/errors.ts';
import { type Resolvers, withResolvers } from '../../base/with-resolvers.ts';
import type {
  SnapshotFacts,
  SnapshotFilter,
  SnapshotManifest,
  SnapshotWriter,
  WritableStore,
} from '../../ports/snapshot-store.ts';
import type { Answer, BegunSnapshot, CallName, Request, StoreCalls, ThreadStart } from './calls.ts';
import { startThread } from './own-thread.ts';

/** The thread of a store that is to be opened. */
export const storeThread = (start: ThreadStart): Worker =>
  startThread(import.meta.url, 'store-thread', start);

/**
 * Opens a store to write. Throws as `openStore` does, and `store` when the thread cannot be had.
 */
export async function openStoreInThread(
  start: ThreadStart,
  thread: Worker = storeThread(start),
): Promise<WritableStore> {
  const calls = new Calls(thread, start.directory);
  try {
    await calls.make('open', []);
  } catch (error) {
    await calls.end();
    throw error;
  }
  return new StoreClient(calls);
}

/** Calls that wait for the thread. */
class Calls {
  readonly #worker: Worker;
  readonly #directory: string;
  readonly #waiting = new Map<number, Resolvers<unknown>>();
  #last = 0;
  /** Why no answer will come any more. */
  #over: UnderstudyError | undefined;

  constructor(worker: Worker, directory: string) {
    this.#worker = worker;
    this.#directory = directory;
    worker.on('message', (answer: Answer) => this.#take(answer));
    worker.on('error', (cause) => this.#end(threadLost(directory, { cause })));
    worker.on('exit', () => this.#end(threadLost(directory)));
  }

  /** `moved`: buffers among `args` that are given away. */
  make<K extends CallName>(
    call: K,
    args: Parameters<StoreCalls[K]>,
    moved: ArrayBuffer[] = [],
  ): Promise<ReturnType<StoreCalls[K]>> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    this.#last += 1;
    const request: Request<K> = { request: this.#last, call, args };
    const waiting = withResolvers<unknown>();
    this.#waiting.set(request.request, waiting);
    this.#worker.postMessage(request, moved);
    return waiting.promise as Promise<ReturnType<StoreCalls[K]>>;
  }

  async end(): Promise<void> {
    this.#end(new UnderstudyError('store', `Store '${this.#directory}' is closed`));
    await this.#worker.terminate();
  }

  #take(answer: Answer): void {
    const waiting = this.#waiting.get(answer.request);
    this.#waiting.delete(answer.request);
    if ('refused' in answer) waiting?.reject(errorFrom(answer.refused));
    else waiting?.resolve(answer.value);
  }

  #end(why: UnderstudyError): void {
    this.#over ??= why;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#over);
    this.#waiting.clear();
  }
}

const threadLost = (directory: string, details: ErrorDetails = {}): UnderstudyError =>
  new UnderstudyError('store', `Store '${directory}' has lost its thread`, {
    ...details,
    hint: 'start the node again: nobody can write to the store while it runs',
  });

class StoreClient implements WritableStore {
  readonly log: WritableStore['log'];
  readonly #calls: Calls;
  #closing: Promise<void> | undefined;

  constructor(calls: Calls) {
    this.#calls = calls;
    this.log = { append: (piece) => calls.make('append', [piece]) };
  }

  async begin(facts: SnapshotFacts, parent?: string): Promise<SnapshotWriter> {
    return new WriterClient(this.#calls, await this.#calls.make('begin', [facts, parent]));
  }

  list(filter: SnapshotFilter = {}): Promise<SnapshotManifest[]> {
    return this.#calls.make('list', [filter]);
  }

  usage() {
    return this.#calls.make('usage', []);
  }

  remove(id: string): Promise<void> {
    return this.#calls.make('remove', [id]);
  }

  collect() {
    return this.#calls.make('collect', []);
  }

  close(): Promise<void> {
    this.#closing ??= this.#calls.make('close', []).finally(() => this.#calls.end());
    return this.#closing;
  }
}

class WriterClient implements SnapshotWriter {
  readonly id: string;
  readonly chunkBytes: number;
  readonly #calls: Calls;
  readonly #writer: number;

  constructor(calls: Calls, { id, chunkBytes, writer }: BegunSnapshot) {
    this.#calls = calls;
    this.#writer = writer;
    this.id = id;
    this.chunkBytes = chunkBytes;
  }

  put(image: string, offset: number, bytes: Uint8Array): Promise<void> {
    // Of these bytes alone: what they are part of may be a machine's RAM.
    const copy = new Uint8Array(bytes);
    return this.#calls.make('put', [this.#writer, image, offset, copy], [copy.buffer]);
  }

  deviceState(bytes: Uint8Array): Promise<void> {
    const copy = new Uint8Array(bytes);
    return this.#calls.make('deviceState', [this.#writer, copy], [copy.buffer]);
  }

  commit(): Promise<SnapshotManifest> {
    return this.#calls.make('commit', [this.#writer]);
  }

  abort(): Promise<void> {
    return this.#calls.make('abort', [this.#writer]);
  }
}
