/**
 * The durable log of a backup (durable-log.ts) as the log behind a snapshot of the same copy.
 *
 * Intuition: the store gets log once a second, the durable log gets it before it is acknowledged. Nothing
 * leaves a protected machine that is not acknowledged, so who executes this log has all that was ever seen.
 *
 * Contract
 *  1. It is used only when it is of the same pair, machine, term and seed as the snapshot, and has the
 *     snapshot's cut at its place.
 *  2. It is not used when it ends before the log in the store: then it is damaged in its middle, or lost
 *     what was written last.
 *  3. What a node that died was just writing is cut off. It was not acknowledged.
 */
import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { asError } from '../../base/errors.ts';
import type { LogPosition } from '../../base/units.ts';
import { padNetId } from '../../hypervisor/command-line.ts';
import type { LogPiece, SnapshotManifest } from '../../ports/snapshot-store.ts';
import { layoutFor } from '../../rrlog/layouts.ts';
import { LogTail } from '../../rrlog/log-tail.ts';
import { SegmentUnpacker } from '../../rrlog/packer.ts';
import { type DurableLogBase, DurableLogReader, type DurableRecord } from '../durable-log.ts';
import { GrowingPiece } from './growing-piece.ts';
import { snapshotLimits } from './limits.ts';

/** All log behind a snapshot, up to its end on the disk of the node that was backup. */
export interface DurableTail {
  /** As the store would give them; what they throw is `log-format` or `resources`. */
  readonly pieces: AsyncIterable<LogPiece>;
  /** When the last of it was received, milliseconds since 1970. */
  readonly endMs: number;
}

/**
 * What a durable log has behind a snapshot, or in one line why it is not used. `keptTo`: the end of the log
 * that the store has behind it.
 */
export async function findDurableTail(
  file: string,
  snapshot: SnapshotManifest,
  keptTo: LogPosition,
): Promise<DurableTail | { readonly whyNot: string }> {
  if (!fs.existsSync(file)) return { whyNot: `'${file}' is not there` };
  try {
    const end = await lookThrough(file, snapshot);
    if ('whyNot' in end) return end;
    if (end.to < keptTo) {
      return { whyNot: `'${file}' ends at ${end.to}, the log in the store at ${keptTo}` };
    }
    return { pieces: piecesBehind(file, snapshot), endMs: end.timeMs };
  } catch (thrown) {
    return { whyNot: asError(thrown).message };
  }
}

/** Where the log ends, without unpacking any. */
async function lookThrough(
  file: string,
  snapshot: SnapshotManifest,
): Promise<{ readonly to: LogPosition; readonly timeMs: number } | { readonly whyNot: string }> {
  const reader = new DurableLogReader(file);
  try {
    const other = difference(reader.base, snapshot);
    if (other !== undefined) return { whyNot: `'${file}' is of another recording: ${other}` };
    let end = { to: reader.base.position, timeMs: snapshot.takenAtMs };
    let hasCut = false;
    for await (const record of turning(reader)) {
      if (isCutOf(record, snapshot)) hasCut = true;
      if (record.kind === 'frame') end = { to: record.to, timeMs: record.receivedAtMs };
    }
    if (hasCut) return end;
    const { position, icount } = snapshot;
    return {
      whyNot: `'${file}' has no cut at position ${position}, icount ${icount}; it ends at ${end.to}`,
    };
  } finally {
    await reader.close();
  }
}

async function* piecesBehind(
  file: string,
  snapshot: SnapshotManifest,
): AsyncGenerator<LogPiece, void> {
  const layout = layoutFor(snapshot.layout);
  const { vm, run, term, position, icount } = snapshot;
  const owner = { vm, run, term, layout };
  const unpacker = new SegmentUnpacker(layout);
  const tail = new LogTail({
    layout,
    input: 'stripped',
    expectHeader: false,
    start: { position, icount },
    markerNetId: padNetId,
  });
  let timeMs = snapshot.takenAtMs;
  let epoch = snapshot.epoch;
  let piece: GrowingPiece | undefined;
  const grow = (): GrowingPiece =>
    new GrowingPiece(owner, {
      from: tail.position,
      fromIcount: tail.icount,
      fromTimeMs: timeMs,
      firstEpoch: epoch,
    });
  const reader = new DurableLogReader(file);
  try {
    for await (const record of turning(reader)) {
      // Each payload needs those before it to be unpacked, also those before the snapshot.
      const bytes = record.kind === 'frame' ? unpacker.unpack(record.payload) : undefined;
      if (piece === undefined) {
        if (isCutOf(record, snapshot)) piece = grow();
        continue;
      }
      if (record.kind !== 'frame' || bytes === undefined) {
        piece.mark(record.kind as 'resumed' | 'cut', record.icount);
        continue;
      }
      timeMs = record.receivedAtMs;
      piece.take(tail.pushSegment({ ...record, bytes }), timeMs);
      if (piece.bytes < snapshotLimits.logPieceBytes) continue;
      const whole = piece.end(timeMs);
      epoch = whole.lastEpoch;
      yield whole;
      piece = grow();
    }
    if (piece !== undefined && piece.bytes > 0) yield piece.end(timeMs);
  } finally {
    await reader.close();
  }
}

/** All records. They are read at once, so the event loop is given its turn now and then. */
async function* turning(reader: DurableLogReader): AsyncGenerator<DurableRecord, void> {
  let bytes = 0;
  for (let record = reader.read(); record !== undefined; record = reader.read()) {
    yield record;
    bytes += record.kind === 'frame' ? record.payload.length : 0;
    if (bytes < snapshotLimits.logPieceBytes) continue;
    bytes = 0;
    await turn();
  }
}

function isCutOf(record: DurableRecord, { position, icount }: SnapshotManifest): boolean {
  return record.kind === 'cut' && record.position === position && record.icount === icount;
}

/** What tells that a log is not the snapshot's. */
function difference(log: DurableLogBase, snapshot: SnapshotManifest): string | undefined {
  const pairs = [
    ['pair', log.pair, snapshot.vm],
    ['machine', log.vmFingerprint, snapshot.vmFingerprint],
    ['layout', log.layout, snapshot.layout],
    ['term', log.term, snapshot.term],
    ['seed', log.seedId, snapshot.seedId],
  ] as const;
  const found = pairs.find(([, ofLog, ofSnapshot]) => ofLog !== ofSnapshot);
  return found && `its ${found[0]} is ${found[1]}, the snapshot's ${found[2]}`;
}
