// A snapshot store in memory, as its port describes it: for tests of who uses one.
import fs from 'node:fs';
import { UnderstudyError } from '../../../src/base/errors.ts';
import type {
  LogPiece,
  Snapshot,
  SnapshotFacts,
  SnapshotManifest,
  SnapshotStore,
  SnapshotWriter,
} from '../../../src/ports/snapshot-store.ts';

const chunkBytes = 64 * 1024;

interface Kept {
  readonly manifest: SnapshotManifest;
  readonly deviceState: Buffer;
  readonly images: ReadonlyMap<string, Buffer>;
}

export class MemoryStore implements SnapshotStore {
  readonly pieces: LogPiece[] = [];
  readonly kept = new Map<string, Kept>();
  /** What the next `begin`, `commit` or `append` throws, once. */
  failure: Error | undefined;
  #next = 1;

  readonly log: SnapshotStore['log'] = {
    append: async (piece) => {
      this.fail();
      this.pieces.push(piece);
    },
    list: async ({ vm, run }) =>
      this.pieces.filter((piece) => piece.vm === vm && piece.run === run),
    follow: (cut) => this.#follow(cut),
  };

  fail(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }

  async *#follow({ vm, run, position }: Parameters<SnapshotStore['log']['follow']>[0]) {
    let at: number = position;
    for (const piece of await this.log.list({ vm, run })) {
      if (piece.to <= at) continue;
      if (piece.from > at) {
        throw new UnderstudyError('store', `The log of '${run}' has a gap: ${at} to ${piece.from}`);
      }
      at = piece.to;
      yield piece as LogPiece;
    }
  }

  async begin(facts: SnapshotFacts, parent?: string): Promise<SnapshotWriter> {
    this.fail();
    const id = `snapshot-${String(this.#next).padStart(4, '0')}`;
    this.#next += 1;
    const from = parent === undefined ? undefined : this.#found(parent).images;
    const images = new Map(
      facts.images.map(({ name, bytes }) => {
        const inherited = from?.get(name);
        return [name, inherited === undefined ? Buffer.alloc(bytes) : Buffer.from(inherited)];
      }),
    );
    let state = Buffer.alloc(0);
    let addedBytes = 0;
    return {
      id,
      chunkBytes,
      put: async (name, offset, bytes) => {
        const image = images.get(name);
        const isWhole = bytes.length % chunkBytes === 0 || offset + bytes.length === image?.length;
        if (image === undefined || offset % chunkBytes !== 0 || !isWhole) {
          throw new Error(`${bytes.length} bytes at ${offset} of '${name}' are no whole chunks`);
        }
        image.set(bytes, offset);
        addedBytes += bytes.length;
      },
      deviceState: async (bytes) => {
        state = Buffer.from(bytes);
      },
      commit: async () => {
        this.fail();
        const added = { id, deviceStateBytes: state.length, addedBytes };
        const manifest = { ...facts, ...(parent === undefined ? {} : { parent }), ...added };
        this.kept.set(id, { manifest, deviceState: state, images });
        return manifest;
      },
      abort: async () => undefined,
    };
  }

  async list(): Promise<SnapshotManifest[]> {
    return [...this.kept.values()].map(({ manifest }) => manifest);
  }

  async open(id: string): Promise<Snapshot> {
    const { manifest, deviceState, images } = this.#found(id);
    const image = (name: string): Buffer => images.get(name) ?? Buffer.alloc(0);
    return {
      manifest,
      deviceState: async () => deviceState,
      read: async (name, offset, bytes) => image(name).subarray(offset, offset + bytes),
      materialize: async (name, path) => {
        fs.writeFileSync(path, '', { flag: 'wx' });
        const bytes = image(name);
        fs.truncateSync(path, bytes.length);
        const fd = fs.openSync(path, 'r+');
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          const chunk = bytes.subarray(at, at + chunkBytes);
          if (chunk.some((byte) => byte !== 0)) fs.writeSync(fd, chunk, 0, chunk.length, at);
        }
        fs.closeSync(fd);
      },
      changes: () => Promise.reject(new Error('not needed')),
    };
  }

  async remove(id: string): Promise<void> {
    this.#found(id);
    this.kept.delete(id);
  }

  collect = async () => ({ freedBytes: 0, chunks: 0, logPieces: 0 });

  verify = () => Promise.reject(new Error('not needed'));

  close = async () => undefined;

  #found(id: string): Kept {
    const found = this.kept.get(id);
    if (found === undefined) throw new UnderstudyError('store', `There is no snapshot '${id}'`);
    return found;
  }
}
