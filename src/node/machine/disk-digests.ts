/**
 * What a primary says of its disks at a cut: digests of blocks, which its copy compares with its
 * own. Both machines have made the same writes there.
 *
 * In bytes, big-endian, one disk after the other: length of its id (u8), the id, number of blocks
 * (u32), the number of each block (u32), and the digest of each (16 bytes, digests.ts).
 */
import { UnderstudyError } from '../../base/errors.ts';
import { blockBytesOf, digestBytes } from '../seeding/digests.ts';

export interface DiskDigests {
  readonly disk: string;
  /** Ascending. */
  readonly blocks: readonly number[];
  /** Of each, one after the other. */
  readonly digests: Buffer;
}

export function encodeDiskDigests(disks: readonly DiskDigests[]): Buffer {
  return Buffer.concat(
    disks.flatMap(({ disk, blocks, digests }) => {
      const id = Buffer.from(disk, 'utf8');
      const numbers = Buffer.alloc(4 * (1 + blocks.length));
      numbers.writeUInt32BE(blocks.length, 0);
      for (const [index, block] of blocks.entries()) numbers.writeUInt32BE(block, 4 * (index + 1));
      return [Buffer.of(id.length), id, numbers, digests];
    }),
  );
}

/** Throws `link` for bytes that are none of these. */
export function decodeDiskDigests(bytes: Buffer): DiskDigests[] {
  const found: DiskDigests[] = [];
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) {
      throw new UnderstudyError('link', 'What the primary says of its disks ends too early');
    }
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const disk = take(take(1).readUInt8()).toString('utf8');
    const count = take(4).readUInt32BE();
    const numbers = take(4 * count);
    const blocks = Array.from({ length: count }, (_, index) => numbers.readUInt32BE(4 * index));
    found.push({ disk, blocks, digests: take(count * digestBytes) });
  }
  return found;
}

/** The most that there can be of disks of these sizes. */
export const diskDigestsMax = (disks: readonly { readonly bytes: number }[]): number =>
  disks.reduce(
    (sum, { bytes }) => sum + 300 + Math.ceil(bytes / blockBytesOf(bytes)) * (4 + digestBytes),
    0,
  );
