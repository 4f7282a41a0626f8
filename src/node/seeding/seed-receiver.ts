/**
 * Receives a machine's state into files: device state in memory, RAM on tmpfs, disks as images.
 * What is there from earlier, of the same size, is brought up to date instead of made anew.
 *
 * Contract
 *  1. `complete` resolves once, when the last piece of every stream is written.
 *  2. A piece outside its stream's size, behind its last piece, or before its digests were sent is
 *     refused; nothing is written for it.
 *  3. An image is marked (image-marker.ts) before it is changed, until `settle` has put all of it
 *     on the disk.
 *  4. A file that an older process may still have mapped is not reused but for what `remains` gave.
 */
import fs from 'node:fs';
import { promisify } from 'node:util';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { nextData, punchHole } from '../../host/libc.ts';
import { lockImage, lockImages, type Release } from '../../hypervisor/disks/image-lock.ts';
import { markImage, unmarkImage } from '../../hypervisor/disks/image-marker.ts';
import type { BlobFrame, SeedBegin, SeedHave, SeedOffer } from '../../ports/link.ts';
import { type BulkOptions, BulkStream, seedStreams } from './bulk.ts';
import { digestBytes, digestFile } from './digests.ts';
import type { KeptRam, SeedRemains } from './remains.ts';

interface Target {
  readonly bytes: number;
  readonly write: (payload: Uint8Array, offset: number) => void;
  readonly zero: (offset: number, bytes: number) => void;
  /** False while the primary does not know what is in it. */
  isKnown: boolean;
  isFinished: boolean;
}

interface FileTarget extends Target {
  readonly path: string;
  readonly fd: number;
  /** It was there before, and is not only a hole. */
  readonly hasContent: boolean;
}

export interface SeedReceiverOptions {
  readonly begin: SeedBegin;
  readonly ramFile: string;
  /** Image of each disk on this node, by id. */
  readonly diskImages: Readonly<Record<string, string>>;
  readonly remains: SeedRemains;
}

export class SeedReceiver {
  /** Resolves with the device state. */
  readonly complete: Promise<Buffer>;
  readonly begin: SeedBegin;
  readonly #files = new Map<number, FileTarget>();
  readonly #images: string[] = [];
  readonly #locks: Release[] = [];
  readonly #kept: KeptRam | undefined;
  #deviceState: { readonly bytes: Buffer; readonly target: Target } | undefined;
  #resolve: (deviceState: Buffer) => void = () => undefined;
  #receivedBytes = 0;
  #isClosed = false;

  /**
   * Throws `config` for a disk without an image here, `disk` for one that another program uses,
   * `resources` when a file cannot be made.
   */
  constructor({ begin, ramFile, diskImages, remains }: SeedReceiverOptions) {
    this.begin = begin;
    this.complete = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    const images = begin.disks.map(({ id }) => imageOf(diskImages, id));
    // Before the first is marked; one that is made anew is another file.
    lockImages(images.map((path) => ({ path, use: 'write' })))();
    this.#kept = remains.moveTo(ramFile, begin.ramBytes);
    const openRam = this.#kept === undefined ? openNew : openOld;
    try {
      this.#files.set(seedStreams.ram, fileTarget(ramFile, begin.ramBytes, openRam));
      for (const [index, image] of images.entries()) {
        const bytes = begin.disks[index]?.bytes ?? 0;
        markImage(image, `seed ${begin.seedId}`);
        this.#images.push(image);
        const open = isImageOf(image, bytes) ? openOld : openNew;
        this.#files.set(seedStreams.disk(index), fileTarget(image, bytes, open));
        this.#locks.push(lockImage(image, 'write'));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Bytes received so far, zeros not counted. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get isComplete(): boolean {
    const targets = [...this.#files.values(), this.#deviceState?.target];
    return targets.every((target) => target?.isFinished === true);
  }

  /** The answer to `seedBegin`. */
  get holdings(): SeedHave {
    const streams = [...this.#files]
      .filter(([, { hasContent }]) => hasContent)
      .map(([stream, { fd }]) => ({ stream, bytes: fs.fstatSync(fd).blocks * 512 }));
    const resumes = this.#kept?.interrupted;
    const { seedId } = this.begin;
    return { type: 'seedHave', seedId, ...(resumes === undefined ? {} : { resumes }), streams };
  }

  /** Sends the digests of what `holdings` announced. Rejects when the link closes. */
  async sendDigests(to: Pick<BulkOptions, 'link' | 'term'>): Promise<void> {
    for (const { stream } of this.holdings.streams) {
      const file = this.#files.get(stream);
      if (file === undefined) return; // closed meanwhile
      const bulk = new BulkStream({ ...to, stream });
      for await (const { firstBlock, digests } of digestFile(file.path, file.bytes)) {
        await bulk.bytes(firstBlock * digestBytes, digests);
      }
      file.isKnown = true;
      await bulk.end(0);
    }
  }

  /** The cut that is being seeded. Throws `link` when it is of another seed than began. */
  takeOffer({ seedId, deviceStateBytes }: SeedOffer): void {
    if (seedId !== this.begin.seedId) {
      throw new UnderstudyError(
        'link',
        `The cut of seed ${seedId} came while ${this.begin.seedId} was received`,
      );
    }
    const bytes = Buffer.alloc(deviceStateBytes);
    const target = {
      bytes: deviceStateBytes,
      write: (payload: Uint8Array, offset: number) => bytes.set(payload, offset),
      zero: (offset: number, count: number) => void bytes.fill(0, offset, offset + count),
      isKnown: true,
      isFinished: false,
    };
    this.#deviceState = { bytes, target };
  }

  take(piece: BlobFrame): void {
    const { stream, offset, payload, zeroBytes = 0 } = piece;
    const target =
      stream === seedStreams.deviceState ? this.#deviceState?.target : this.#files.get(stream);
    const end = offset + payload.length + zeroBytes;
    if (target?.isKnown !== true || target.isFinished || end > target.bytes) {
      throw new UnderstudyError(
        'link',
        `A piece of the seed lies outside its stream: stream ${stream}, bytes ${offset} to ${end}`,
      );
    }
    if (zeroBytes > 0) target.zero(offset, zeroBytes);
    if (payload.length > 0) target.write(payload, offset);
    this.#receivedBytes += payload.length;
    if (!piece.last) return;
    target.isFinished = true;
    if (this.#deviceState !== undefined && this.isComplete) this.#resolve(this.#deviceState.bytes);
  }

  /**
   * Puts the images on the disk and takes their marks away. Call it when `complete` has resolved.
   */
  async settle(): Promise<void> {
    const sync = promisify(fs.fdatasync);
    for (const image of this.#images) {
      const file = [...this.#files.values()].find(({ path }) => path === image);
      if (file === undefined || this.#isClosed) return;
      await sync(file.fd);
      await unmarkImage(image);
    }
    this.close();
  }

  /** Closes what is open; the files stay, and the marks of images that are not settled. */
  close(): void {
    this.#isClosed = true;
    for (const { fd } of this.#files.values()) fs.closeSync(fd);
    this.#files.clear();
    for (const release of this.#locks.splice(0)) release();
  }
}

function imageOf(diskImages: Readonly<Record<string, string>>, id: string): string {
  const image = diskImages[id];
  if (image !== undefined) return image;
  throw new UnderstudyError('config', `This node has no image for disk '${id}'`, {
    hint: `add it to 'disks' of this node in the pair file`,
  });
}

function isImageOf(path: string, bytes: number): boolean {
  const stats = fs.statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() === true && stats.size === bytes;
}

function fileTarget(
  path: string,
  bytes: number,
  open: (path: string, bytes: number) => number,
): FileTarget {
  let fd: number;
  try {
    fd = open(path, bytes);
  } catch (thrown) {
    throw new UnderstudyError('resources', `Cannot create '${path}' for the seed`, {
      cause: asError(thrown),
      hint: 'check that its directory exists, is writable and has room',
    });
  }
  const hasContent = nextData(fd, 0) !== undefined;
  return {
    path,
    fd,
    bytes,
    hasContent,
    write: (payload, offset) => writeAt(path, fd, payload, offset),
    zero: (offset, count) => zeroRange(path, fd, offset, count),
    isKnown: !hasContent,
    isFinished: false,
  };
}

function writeAt(path: string, fd: number, payload: Uint8Array, offset: number): void {
  try {
    // A file system that is about to be full takes a part, and refuses the rest.
    for (let at = 0; at < payload.length; ) {
      at += fs.writeSync(fd, payload, at, payload.length - at, offset + at);
    }
  } catch (thrown) {
    throw new UnderstudyError('resources', `Cannot write '${path}' for the seed`, {
      cause: asError(thrown),
      hint: 'free some room there: a backup needs as much as its primary has',
    });
  }
}

/** A new file, not the old one cut short: an old QEMU may still have that one mapped. */
function openNew(path: string, bytes: number): number {
  fs.rmSync(path, { force: true });
  const fd = fs.openSync(path, 'wx', 0o600);
  fs.ftruncateSync(fd, bytes);
  return fd;
}

/** What was open to others is closed to them: it is going to hold the guest's data. */
function openOld(path: string): number {
  const fd = fs.openSync(path, 'r+');
  fs.fchmodSync(fd, 0o600);
  return fd;
}

function zeroRange(path: string, fd: number, offset: number, bytes: number): void {
  try {
    punchHole(fd, offset, bytes);
  } catch {
    // The file system knows no holes: then zeros are written.
    const zeros = Buffer.alloc(Math.min(bytes, zerosAtOnce));
    for (let at = 0; at < bytes; at += zeros.length) {
      writeAt(path, fd, zeros.subarray(0, Math.min(zeros.length, bytes - at)), offset + at);
    }
  }
}

const zerosAtOnce = 1024 * 1024;
