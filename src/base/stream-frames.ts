/**
 * QEMU's stream framing: what `-netdev stream`, `-netdev socket` and passt speak.
 *
 *     +----------------------+----------------------+
 *     | length, u32, big end | frame, length bytes  |  and so on, nothing between
 *     +----------------------+----------------------+
 *
 * Invariants of the decoder:
 * 1. Its output does not depend on where the stream was cut into chunks.
 * 2. It holds at most one unfinished frame, of at most `frameBytesMax` bytes.
 * 3. A length of 0 or above the limit means that the two sides lost step: it throws, and throws
 *    again ever after, because nothing behind that point can be trusted.
 * 4. A frame that lies whole in a chunk is a view of it, not a copy; a chunk is never written to.
 */
import { UnderstudyError } from './errors.ts';

const HEADER_BYTES = 4;

/** QEMU's own largest frame (NET_BUFSIZE: 64 KiB of segmentation offload and 4 KiB of headers). */
export const streamFrameBytesMax = 69_632;

export interface StreamFrameOptions {
  /** @default streamFrameBytesMax */
  readonly frameBytesMax?: number;
}

export class StreamFrameDecoder {
  readonly #frameBytesMax: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** The frame that did not end with its chunk, and how much of it is there. */
  #frame: Buffer | undefined;
  #frameBytes = 0;
  #broken: UnderstudyError | undefined;

  constructor(options: StreamFrameOptions = {}) {
    this.#frameBytesMax = options.frameBytesMax ?? streamFrameBytesMax;
  }

  /** Whether the stream may end here: not in the middle of a frame. */
  get atBoundary(): boolean {
    return this.#headerBytes === 0 && this.#frame === undefined;
  }

  /** Takes the next bytes of the stream; returns the frames that are complete now. */
  push(chunk: Buffer): Buffer[] {
    if (this.#broken !== undefined) throw this.#broken;
    const frames: Buffer[] = [];
    let at = this.#finishPending(chunk, frames);
    while (at < chunk.length) {
      const left = chunk.length - at;
      if (left < HEADER_BYTES) {
        chunk.copy(this.#header, 0, at);
        this.#headerBytes = left;
        break;
      }
      const length = this.#checked(chunk.readUInt32BE(at));
      at += HEADER_BYTES;
      if (chunk.length - at < length) {
        this.#begin(length);
        at += this.#fill(chunk, at);
        break;
      }
      frames.push(chunk.subarray(at, at + length));
      at += length;
    }
    return frames;
  }

  /** Completes what an earlier chunk began; returns how many bytes of this one that took. */
  #finishPending(chunk: Buffer, frames: Buffer[]): number {
    let at = 0;
    if (this.#headerBytes > 0) {
      at = chunk.copy(this.#header, this.#headerBytes);
      this.#headerBytes += at;
      if (this.#headerBytes < HEADER_BYTES) return at;
      this.#headerBytes = 0;
      this.#begin(this.#checked(this.#header.readUInt32BE(0)));
    }
    if (this.#frame === undefined) return at;
    at += this.#fill(chunk, at);
    if (this.#frameBytes === this.#frame.length) {
      frames.push(this.#frame);
      this.#frame = undefined;
    }
    return at;
  }

  #begin(length: number): void {
    this.#frame = Buffer.allocUnsafe(length);
    this.#frameBytes = 0;
  }

  #fill(chunk: Buffer, from: number): number {
    const taken = chunk.copy(this.#frame as Buffer, this.#frameBytes, from);
    this.#frameBytes += taken;
    return taken;
  }

  #checked(length: number): number {
    if (length > 0 && length <= this.#frameBytesMax) return length;
    this.#broken = new UnderstudyError(
      'link',
      `Cannot read the frame stream as a length must be 1 to ${this.#frameBytesMax}: ` +
        `current value is ${length}`,
      { hint: 'check that the other side speaks frames with a 4-byte length in front' },
    );
    throw this.#broken;
  }
}

/** One frame with its length in front. */
export function encodeStreamFrame(frame: Buffer): Buffer {
  return encodeStreamFrames([frame]);
}

/** Several frames for one write, in one allocation. */
export function encodeStreamFrames(
  frames: readonly Buffer[],
  options: StreamFrameOptions = {},
): Buffer {
  const frameBytesMax = options.frameBytesMax ?? streamFrameBytesMax;
  let bytes = 0;
  for (const frame of frames) {
    if (frame.length === 0 || frame.length > frameBytesMax) {
      throw new RangeError(
        `a frame must have 1 to ${frameBytesMax} bytes: current value is ${frame.length}`,
      );
    }
    bytes += HEADER_BYTES + frame.length;
  }
  const encoded = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const frame of frames) {
    at = encoded.writeUInt32BE(frame.length, at);
    at += frame.copy(encoded, at);
  }
  return encoded;
}
