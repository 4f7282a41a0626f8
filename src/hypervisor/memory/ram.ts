/**
 * The guest's RAM: one file on tmpfs, mapped shared by QEMU, so that it can be read from outside
 * while the machine is stopped and handed from a replayer to its successor without a copy.
 */
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { nextData, reserveRoomLater } from '../../host/libc.ts';

/**
 * CRC-32 of each `ramDigestBlockBytes` of RAM: small enough to send, fine enough to name a place.
 * `null` is a block that was not read.
 */
export type RamDigest = readonly (number | null)[];

const { ramDigestBlockBytes: blockBytes } = limits;

export function createRamFile(path: string, bytes: number): void {
  const fd = openFor(path, 'wx');
  try {
    fs.ftruncateSync(fd, bytes);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Makes sure of the memory that a RAM file has promised to a guest: QEMU is killed (SIGBUS) when it
 * touches a page for which there is no room any more. What was never written stays a hole for
 * whoever reads. Throws `resources`.
 */
export async function reserveRam(path: string): Promise<void> {
  const fd = openFor(path, 'r+');
  try {
    const { size } = fs.fstatSync(fd);
    if (await reserveRoomLater(fd, 0, size)) return;
    const { bavail, bsize } = await fs.promises.statfs(path);
    // What is allocated already needs no room; a file system without `fallocate` has it, or not.
    if (bavail * bsize >= size - 512 * fs.fstatSync(fd).blocks) return;
    throw new UnderstudyError(
      'resources',
      `There is no room for the guest's memory in '${path}': ${size} bytes were promised to it`,
      { hint: 'free some, enlarge the tmpfs (mount -o remount,size=...), or set another runDir' },
    );
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Of all blocks, or of those that are wanted. What was never written costs nothing; the rest is
 * read in slices, between which the event loop turns: a peer that hears nothing for 300 ms takes it
 * for dead.
 */
export async function digestRam(
  path: string,
  isWanted: (block: number) => boolean = () => true,
): Promise<RamDigest> {
  const fd = openFor(path, 'r');
  try {
    return await readBlocks(fd, isWanted);
  } finally {
    fs.closeSync(fd);
  }
}

/** Numbers of the blocks that differ; a length that differs counts as all blocks beyond. */
export function differingBlocks(a: RamDigest, b: RamDigest): number[] {
  const differing: number[] = [];
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    if (a[i] !== null && b[i] !== null && a[i] !== b[i]) differing.push(i);
  }
  return differing;
}

/**
 * The blocks that the cut number `turn` compares when it must be quick: so many that reading them
 * takes two milliseconds, other ones each time, all of them in as many turns as there are shares.
 */
export function shareOfRam(bytes: number, turn: number): (block: number) => boolean {
  const shares = Math.max(1, Math.ceil(bytes / limits.quickDigestBytes));
  return (block) => block % shares === turn % shares;
}

/**
 * Some blocks of RAM, read while the machine stands still and digested when it has gone on: reading
 * is two thirds of the work.
 */
export class RamSample {
  readonly #fd: number;
  readonly #isWanted: (block: number) => boolean;
  readonly #buffer: Buffer;
  /** What was read of each block; a number is the length of a hole. */
  #blocks: (Buffer | number | null)[] = [];

  constructor(path: string, isWanted: (block: number) => boolean) {
    this.#fd = openFor(path, 'r');
    this.#isWanted = isWanted;
    const blocks = Math.ceil(fs.fstatSync(this.#fd).size / blockBytes);
    const wanted = Array.from({ length: blocks }, (_, block) => block).filter(isWanted).length;
    // Filled: memory that was never touched would be found while the machine stands still.
    this.#buffer = Buffer.allocUnsafeSlow(wanted * blockBytes).fill(0);
  }

  /** Reads them as they are now. */
  read(): void {
    let used = 0;
    this.#blocks = Array.from(blocksOf(this.#fd, this.#isWanted), (block) => {
      if (block === null) return null;
      if (block.isHole) return block.bytes;
      const bytes = fs.readSync(this.#fd, this.#buffer, used, block.bytes, block.position);
      used += bytes;
      return this.#buffer.subarray(used - bytes, used);
    });
  }

  /** Of what was read. */
  digest(): RamDigest {
    return this.#blocks.map((block) => {
      if (block === null) return null;
      return typeof block === 'number' ? crcOfHole(block) : crc32(block);
    });
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

async function readBlocks(
  fd: number,
  isWanted: (block: number) => boolean,
): Promise<(number | null)[]> {
  const digest: (number | null)[] = [];
  const buffer = Buffer.allocUnsafe(blockBytes);
  let read = 0;
  for (const block of blocksOf(fd, isWanted)) {
    if (block === null || block.isHole) {
      digest.push(block && crcOfHole(block.bytes));
      continue;
    }
    const bytes = fs.readSync(fd, buffer, 0, block.bytes, block.position);
    digest.push(crc32(buffer.subarray(0, bytes)));
    read += bytes;
    if (read < limits.digestSliceBytes) continue;
    read = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return digest;
}

interface Block {
  readonly position: number;
  readonly bytes: number;
  /** It was never written. */
  readonly isHole: boolean;
}

/** All of them in order; `null` is one that is not wanted. */
function* blocksOf(fd: number, isWanted: (block: number) => boolean): Generator<Block | null> {
  const { size } = fs.fstatSync(fd);
  let data = nextData(fd, 0);
  for (let position = 0; position < size; position += blockBytes) {
    if (!isWanted(position / blockBytes)) {
      yield null;
      continue;
    }
    const end = Math.min(size, position + blockBytes);
    while (data !== undefined && data.to <= position) data = nextData(fd, data.to);
    yield { position, bytes: end - position, isHole: data === undefined || data.from >= end };
  }
}

const zeros = Buffer.alloc(blockBytes);
const crcOfZeros = crc32(zeros);

const crcOfHole = (bytes: number): number =>
  bytes === blockBytes ? crcOfZeros : crc32(zeros.subarray(0, bytes));

/** True when every byte is zero: such a block is not worth sending or storing. */
export function isZero(block: Uint8Array): boolean {
  for (let at = 0; at < block.length; at += zeros.length) {
    const length = Math.min(zeros.length, block.length - at);
    if (zeros.compare(block, at, at + length, 0, length) !== 0) return false;
  }
  return true;
}

function openFor(path: string, flags: string): number {
  try {
    return fs.openSync(path, flags, 0o600);
  } catch (thrown) {
    throw new UnderstudyError('resources', `Cannot open RAM image '${path}'`, {
      cause: asError(thrown),
      hint: 'check that the run directory is on a tmpfs with room for the guest’s memory',
    });
  }
}
