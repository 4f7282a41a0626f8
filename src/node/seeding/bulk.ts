/**
 * One stream of a bulk transfer: runs of bytes and of zeros at offsets, within the link's and the
 * operator's bounds.
 */
import { limits } from '../../base/limits.ts';
import type { Term } from '../../base/units.ts';
import type { Link } from '../../ports/link.ts';
import type { Bandwidth } from './bandwidth.ts';

/** Numbers of the bulk streams of a seed. */
export const seedStreams = {
  deviceState: 0,
  ram: 1,
  disk: (index: number): number => 2 + index,
} as const;

/** Numbers of those of a cut. */
export const cutStreams = { deviceState: 0, disks: 1 } as const;

export interface BulkOptions {
  readonly link: Link;
  readonly term: Term;
  readonly stream: number;
  /** @default no bound */
  readonly bandwidth?: Bandwidth;
  readonly signal?: AbortSignal;
}

/** All methods reject when the link closes or the signal fires. */
export class BulkStream {
  readonly #options: BulkOptions;
  #sentBytes = 0;

  constructor(options: BulkOptions) {
    this.#options = options;
  }

  /** Bytes given to the link; a run of zeros counts for nothing. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  async bytes(offset: number, bytes: Uint8Array): Promise<void> {
    const { link, term, stream, bandwidth, signal } = this.#options;
    for (let at = 0; at < bytes.length; at += limits.bulkPieceBytes) {
      const payload = bytes.subarray(at, at + limits.bulkPieceBytes);
      await bandwidth?.take(payload.length, signal);
      await link.ready();
      link.send({ kind: 'blob', term, stream, offset: offset + at, last: false, payload });
      this.#sentBytes += payload.length;
    }
  }

  async zeros(offset: number, zeroBytes: number): Promise<void> {
    const { link, term, stream } = this.#options;
    await link.ready();
    link.send({ kind: 'blob', term, stream, offset, zeroBytes, last: false, payload: nothing });
  }

  /** Nothing follows in this stream, which is `size` bytes long. */
  async end(size: number): Promise<void> {
    const { link, term, stream } = this.#options;
    await link.ready();
    link.send({ kind: 'blob', term, stream, offset: size, last: true, payload: nothing });
  }
}

const nothing = new Uint8Array(0);
