/**
 * What a new backup has from earlier, as it says itself: collected by the primary.
 *
 * Contract
 *  1. `have` resolves with the backup's answer to `seedBegin`.
 *  2. `digests` of a stream resolves when all of its digests are there; with `undefined` when the
 *     backup has nothing of it.
 *  3. Both reject when the link closes.
 */
import { UnderstudyError } from '../../base/errors.ts';
import { type Resolvers, withResolvers } from '../../base/with-resolvers.ts';
import type { BlobFrame, SeedBegin, SeedHave } from '../../ports/link.ts';
import { seedStreams } from './bulk.ts';
import { BlockDigests } from './digests.ts';

interface Stream {
  readonly digests: BlockDigests;
  readonly complete: Resolvers<void>;
}

export class BackupHoldings {
  readonly have: Promise<SeedHave>;
  readonly #begin: SeedBegin;
  readonly #have = withResolvers();
  readonly #streams = new Map<number, Stream>();
  #answer: SeedHave | undefined;

  constructor(begin: SeedBegin, signal: AbortSignal) {
    this.#begin = begin;
    this.have = this.#have.promise.then(() => this.#answer as SeedHave);
    this.have.catch(() => undefined); // whoever waits for it finds out
    const end = (): void => {
      this.#have.reject(signal.reason as Error);
      for (const { complete } of this.#streams.values()) complete.reject(signal.reason as Error);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  }

  /** An answer to another seed than this one is left alone. */
  takeHave(have: SeedHave): void {
    if (have.seedId !== this.#begin.seedId) return;
    for (const { stream } of have.streams) {
      const complete = withResolvers();
      complete.promise.catch(() => undefined);
      this.#streams.set(stream, { digests: new BlockDigests(this.#bytesOf(stream)), complete });
    }
    this.#answer = have;
    this.#have.resolve();
  }

  /** Throws `link` for digests that were not announced. */
  takePiece(piece: BlobFrame): void {
    const stream = this.#streams.get(piece.stream);
    if (stream === undefined) {
      throw new UnderstudyError('link', `Digests of stream ${piece.stream} were not announced`);
    }
    stream.digests.take(piece);
    if (piece.last) stream.complete.resolve();
  }

  async digests(stream: number): Promise<BlockDigests | undefined> {
    await this.have;
    const found = this.#streams.get(stream);
    await found?.complete.promise;
    return found?.digests;
  }

  #bytesOf(stream: number): number {
    if (stream === seedStreams.ram) return this.#begin.ramBytes;
    const disk = this.#begin.disks.find((_, index) => seedStreams.disk(index) === stream);
    if (disk === undefined) throw new UnderstudyError('link', `There is no stream ${stream}`);
    return disk.bytes;
  }
}
