/**
 * The guest's RAM: one file on tmpfs, mapped shared by QEMU, so that it can be read from outside
 * while the machine is stopped and handed from a replayer to its successor without a copy.
 */
import fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

/** CRC-32 of each `ramDigestBlockBytes` of RAM: small enough to send, fine enough to name a place. */
export type RamDigest = readonly number[];

export function createRamFile(path: string, bytes: number): void {
  const fd = openFor(path, 'wx');
  try {
    fs.ftruncateSync(fd, bytes);
  } finally {
    fs.closeSync(fd);
  }
}

/** Copies RAM while the machine is stopped. Zero pages are left as holes. Returns its digest. */
export function copyRam(from: string, to: string): RamDigest {
  const source = openFor(from, 'r');
  try {
    fs.rmSync(to, { force: true });
    const target = openFor(to, 'wx');
    try {
      fs.ftruncateSync(target, fs.fstatSync(source).size);
      return readBlocks(source, (block, position) => {
        if (!isZero(block)) fs.writeSync(target, block, 0, block.length, position);
      });
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(source);
  }
}

export function digestRam(path: string): RamDigest {
  const fd = openFor(path, 'r');
  try {
    return readBlocks(fd, () => undefined);
  } finally {
    fs.closeSync(fd);
  }
}

/** Numbers of the blocks that differ; a length that differs counts as all blocks beyond. */
export function differingBlocks(a: RamDigest, b: RamDigest): number[] {
  const differing: number[] = [];
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) if (a[i] !== b[i]) differing.push(i);
  return differing;
}

function readBlocks(fd: number, use: (block: Buffer, position: number) => void): number[] {
  const digest: number[] = [];
  const buffer = Buffer.allocUnsafe(limits.ramDigestBlockBytes);
  for (let position = 0; ; ) {
    const bytes = fs.readSync(fd, buffer, 0, buffer.length, position);
    if (bytes === 0) return digest;
    const block = buffer.subarray(0, bytes);
    digest.push(crc32(block));
    use(block, position);
    position += bytes;
  }
}

const zeros = Buffer.alloc(limits.ramDigestBlockBytes);

/** True when every byte is zero: such a block is not worth sending or storing. */
export function isZero(block: Buffer): boolean {
  return block.length <= zeros.length && block.equals(zeros.subarray(0, block.length));
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
