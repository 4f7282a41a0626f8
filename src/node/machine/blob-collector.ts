import { UnderstudyError } from '../../base/errors.ts';
import type { BlobFrame } from '../../ports/link.ts';

/** Collects one stream of pieces in memory, as the device state of a cut: at most so many bytes. */
export class BlobCollector {
  readonly complete: Promise<Buffer>;
  readonly #stream: number;
  readonly #bytes: Buffer;
  #resolve: (bytes: Buffer) => void = () => undefined;

  constructor(stream: number, maxBytes: number) {
    this.#stream = stream;
    this.#bytes = Buffer.alloc(maxBytes);
    this.complete = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  take(piece: BlobFrame): void {
    if (piece.stream !== this.#stream || piece.offset + piece.payload.length > this.#bytes.length) {
      throw new UnderstudyError('link', `A piece of stream ${piece.stream} was not expected`);
    }
    this.#bytes.set(piece.payload, piece.offset);
    const end = piece.offset + piece.payload.length;
    if (piece.last) this.#resolve(this.#bytes.subarray(0, end));
  }
}
