/**
 * Receives a machine's state into files: device state in memory, RAM on tmpfs, disks as images.
 *
 * Contract
 *  1. `complete` resolves once, when the last piece of every stream is written.
 *  2. A piece outside its stream's size, or behind its last piece, is refused; nothing is written
 *     for it.
 *  3. Files are created anew: what an older seed left there is gone.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { BlobFrame, SeedOffer } from '../ports/link.ts';
import { seedStreams } from './seed-sender.ts';

interface Target {
  readonly bytes: number;
  readonly write: (payload: Uint8Array, offset: number) => void;
  readonly close: () => void;
  finished: boolean;
}

export interface SeedReceiverOptions {
  readonly offer: SeedOffer;
  readonly ramFile: string;
  /** Image of each disk on this node, by id. */
  readonly diskImages: Readonly<Record<string, string>>;
}

export class SeedReceiver {
  /** Resolves with the device state. */
  readonly complete: Promise<Buffer>;
  readonly #targets = new Map<number, Target>();
  readonly #deviceState: Buffer;
  readonly #resolve: (deviceState: Buffer) => void;
  #bytes = 0;

  constructor({ offer, ramFile, diskImages }: SeedReceiverOptions) {
    this.#deviceState = Buffer.alloc(offer.deviceStateBytes);
    let resolve: (deviceState: Buffer) => void = () => undefined;
    this.complete = new Promise((resolveComplete) => {
      resolve = resolveComplete;
    });
    this.#resolve = resolve;
    this.#targets.set(seedStreams.deviceState, {
      bytes: offer.deviceStateBytes,
      write: (payload, offset) => this.#deviceState.set(payload, offset),
      close: () => undefined,
      finished: false,
    });
    this.#targets.set(seedStreams.ram, fileTarget(ramFile, offer.ramBytes));
    for (const [index, disk] of offer.disks.entries()) {
      const image = diskImages[disk.id];
      if (image === undefined) {
        this.close();
        throw new UnderstudyError('config', `This node has no image for disk '${disk.id}'`, {
          hint: `add it to 'disks' of this node in the pair file`,
        });
      }
      this.#targets.set(seedStreams.disk(index), fileTarget(image, disk.bytes));
    }
  }

  /** Bytes received so far, zero pieces not counted. */
  get receivedBytes(): number {
    return this.#bytes;
  }

  take(piece: BlobFrame): void {
    const target = this.#targets.get(piece.stream);
    if (
      target === undefined ||
      target.finished ||
      piece.offset + piece.payload.length > target.bytes
    ) {
      throw new UnderstudyError(
        'link',
        `A piece of the seed lies outside its stream: stream ${piece.stream}, offset ${piece.offset}, ${piece.payload.length} bytes`,
      );
    }
    if (piece.payload.length > 0) target.write(piece.payload, piece.offset);
    this.#bytes += piece.payload.length;
    if (!piece.last) return;
    target.finished = true;
    target.close();
    if ([...this.#targets.values()].every(({ finished }) => finished)) {
      this.#resolve(this.#deviceState);
    }
  }

  /** Closes what is open; the files stay until the next seed. */
  close(): void {
    for (const target of this.#targets.values()) if (!target.finished) target.close();
    this.#targets.clear();
  }
}

function fileTarget(path: string, bytes: number): Target {
  const fd = openFresh(path, bytes);
  let open = true;
  return {
    bytes,
    write: (payload, offset) => {
      writeAt(path, fd, payload, offset);
    },
    close: () => {
      if (open) fs.closeSync(fd);
      open = false;
    },
    finished: false,
  };
}

function writeAt(path: string, fd: number, payload: Uint8Array, offset: number): void {
  try {
    fs.writeSync(fd, payload, 0, payload.length, offset);
  } catch (thrown) {
    throw new UnderstudyError('resources', `Cannot write '${path}' for the seed`, {
      cause: asError(thrown),
      hint: 'free some room there: a backup needs as much as its primary has',
    });
  }
}

function openFresh(path: string, bytes: number): number {
  try {
    // A new file, not the old one cut short: an old QEMU may still have that one mapped.
    fs.rmSync(path, { force: true });
    const fd = fs.openSync(path, 'wx', 0o600);
    fs.ftruncateSync(fd, bytes);
    return fd;
  } catch (thrown) {
    throw new UnderstudyError('resources', `Cannot create '${path}' for the seed`, {
      cause: asError(thrown),
      hint: 'check that its directory exists, is writable and has room',
    });
  }
}

/** Collects one stream of pieces in memory, as the device state of a cut. */
export class BlobCollector {
  readonly complete: Promise<Buffer>;
  readonly #stream: number;
  readonly #bytes: Buffer;
  #resolve: (bytes: Buffer) => void = () => undefined;

  constructor(stream: number, bytes: number) {
    this.#stream = stream;
    this.#bytes = Buffer.alloc(bytes);
    this.complete = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  take(piece: BlobFrame): void {
    if (piece.stream !== this.#stream || piece.offset + piece.payload.length > this.#bytes.length) {
      throw new UnderstudyError('link', `A piece of stream ${piece.stream} was not expected`);
    }
    this.#bytes.set(piece.payload, piece.offset);
    if (piece.last) this.#resolve(this.#bytes);
  }
}
