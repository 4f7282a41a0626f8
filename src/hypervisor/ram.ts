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

export function digestRam(path: string): RamDigest {
  const fd = openFor(path, 'r');
  try {
    return readBlocks(fd);
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

function readBlocks(fd: number): number[] {
  const digest: number[] = [];
  const buffer = Buffer.allocUnsafe(limits.ramDigestBlockBytes);
  for (let position = 0; ; ) {
    const bytes = fs.readSync(fd, buffer, 0, buffer.length, position);
    if (bytes === 0) return digest;
    digest.push(crc32(buffer.subarray(0, bytes)));
    position += bytes;
  }
}

const zeros = Buffer.alloc(limits.ramDigestBlockBytes);

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
