/**
 * Sends RAM in rounds while the machine runs, until what is left is little enough for the pause.
 *
 * Intuition: each round sends what changed since the round before, so it is shorter, and the next
 * one has less to find. A machine that writes faster than the link never gets there; then
 * more rounds only cost bandwidth, and the last ones are given up. The rounds change nothing about
 * what is right: the stopped comparison is exact, see `RamShadow`.
 */
import { limits } from '../../base/limits.ts';
import type { Change, RamShadow } from '../../hypervisor/memory/ram-shadow.ts';
import type { BulkStream } from './bulk.ts';
import { type BlockDigests, digestOf } from './digests.ts';
import type { Pace } from './pace.ts';

export interface RamRoundsOptions {
  readonly shadow: RamShadow;
  readonly stream: BulkStream;
  readonly pace: Pace;
  /** What the backup has from earlier; it has zeros without it. */
  readonly digests: BlockDigests | undefined;
}

/** Returns the bytes sent in each round. */
export async function sendRamRounds(options: RamRoundsOptions): Promise<number[]> {
  const { stream } = options;
  let before = await firstRound(options);
  const sentBytes = [stream.sentBytes];
  for (let sum = stream.sentBytes; ; sum = stream.sentBytes) {
    const found = await laterRound(options);
    sentBytes.push(stream.sentBytes - sum);
    const isSmall = found <= limits.seedSmallRoundBytes;
    const shrinks = found < before * limits.seedShrink;
    if (isSmall || !shrinks || sentBytes.length >= limits.seedRoundsMax) return sentBytes;
    before = found;
  }
}

/**
 * Brings the shadow up to date while the machine stands still. In slices as the others: a node that
 * answers nobody for as long as it takes to compare a large machine's RAM is taken for dead.
 */
export async function lastRound({
  shadow,
  pace,
}: Pick<RamRoundsOptions, 'shadow' | 'pace'>): Promise<Change[]> {
  const changes: Change[] = [];
  for (const block of shadow.candidates()) {
    changes.push(...shadow.update(block));
    await pace.breathe();
  }
  return changes;
}

/** Sends runs of the shadow. Returns their bytes. */
export async function sendChanges(
  { shadow, stream }: Pick<RamRoundsOptions, 'shadow' | 'stream'>,
  changes: readonly Change[],
): Promise<number> {
  let sum = 0;
  for (const { offset, bytes, isZero } of changes) {
    if (isZero) await stream.zeros(offset, bytes);
    else await stream.bytes(offset, shadow.read(offset, bytes));
    sum += bytes;
  }
  return sum;
}

/** Returns the bytes that were found, sent or already there. */
async function firstRound(options: RamRoundsOptions): Promise<number> {
  const { shadow, pace, digests, stream } = options;
  let found = 0;
  for (const block of shadow.candidates()) {
    const changes = shadow.update(block);
    for (const { bytes } of changes) found += bytes;
    if (digests === undefined || digests.isZero(block)) await sendChanges(options, changes);
    await pace.breathe();
  }
  if (digests === undefined) return found;
  // What the backup has where it is not zero: ours may be equal, another one, or nothing.
  for (let block = 0; block < shadow.blocks; block += 1) {
    await pace.breathe();
    if (digests.isZero(block)) continue;
    const offset = block * shadow.blockBytes;
    const bytes = Math.min(shadow.blockBytes, shadow.bytes - offset);
    if (shadow.isEmpty(block)) await stream.zeros(offset, bytes);
    else {
      const mine = shadow.read(offset, bytes);
      if (!(await digestOf(mine)).equals(digests.at(block))) await stream.bytes(offset, mine);
    }
  }
  return found;
}

async function laterRound(options: RamRoundsOptions): Promise<number> {
  const { shadow, pace } = options;
  let found = 0;
  for (const block of shadow.candidates()) {
    found += await sendChanges(options, shadow.update(block));
    await pace.breathe();
  }
  return found;
}
