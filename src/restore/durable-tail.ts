/**
 * The durable log of a backup (durable-log.ts) as the log behind a snapshot of the same copy.
 *
 * Intuition: the store gets log once a second, the durable log gets it before it is acknowledged.
 * Nothing leaves a protected machine that is not acknowledged, so who executes this log has all
 * that was ever seen.
 *
 * Contract
 *  1. It is used only when it is of the same pair, machine, term and seed as the snapshot, and has
 *     the snapshot's cut at its place.
 *  2. It is not used when it ends before the log in the store: then it is damaged in its middle, or
 *     lost what was written last.
 *  3. All of it was read and checked once before it is used.
 *  4. What a node that died was just writing is cut off. It was not acknowledged.
 */

import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { reasonOf, UnderstudyError } from '../base/errors.ts';
import type { LogPosition } from '../base/units.ts';
import { receivedLogTail } from '../hypervisor/replay/received-log.ts';
import type { LogPiece, SnapshotManifest } from '../ports/snapshot-store.ts';
import { layoutFor } from '../rrlog/layouts.ts';
import type { Segment } from '../rrlog/log-tail.ts';
import { SegmentUnpacker } from '../rrlog/packer.ts';
import {
  type DurableLogBase,
  DurableLogReader,
  type DurableMark,
  type DurableRecord,
} from './durable-log.ts';
import { GrowingPiece } from './growing-piece.ts';
import { snapshotLimits } from './limits.ts';

/** All log behind a snapshot, up to its end on the disk of the node that was backup. */
export interface DurableTail {
  /** As the store would give them. */
  readonly pieces: AsyncIterable<LogPiece>;
  /** When the last of it was received, milliseconds since 1970. */
  readonly endMs: number;
}

/**
 * What a durable log has behind a snapshot, or in one line why it is not used. `keptTo`: the end of
 * the log that the store has behind it.
 */
export async function findDurableTail(
  file: string,
  snapshot: SnapshotManifest,
  keptTo: LogPosition,
): Promise<DurableTail | { readonly whyNot: string }> {
  if (!fs.existsSync(file)) return { whyNot: `'${file}' is not there` };
  try {
    // Read twice: what cannot be used is better known before a machine is started with it.
    const end = await lookThrough(file, snapshot);
    if (end.to < keptTo) {
      return { whyNot: `'${file}' ends at ${end.to}, the log in the store at ${keptTo}` };
    }
    return { pieces: piecesBehind(file, snapshot), endMs: end.timeMs };
  } catch (thrown) {
    return { whyNot: reasonOf(thrown) };
  }
}

/** Reads and checks all of it. Returns where it ends. */
async function lookThrough(file: string, snapshot: SnapshotManifest) {
  let end: { to: LogPosition; timeMs: number } = {
    to: snapshot.position,
    timeMs: snapshot.takenAtMs,
  };
  for await (const step of stepsBehind(file, snapshot)) {
    if (step.kind === 'segment') end = { to: step.segment.to, timeMs: step.receivedAtMs };
  }
  return end;
}

async function* piecesBehind(
  file: string,
  snapshot: SnapshotManifest,
): AsyncGenerator<LogPiece, void> {
  const { vm, run, term, position, icount, takenAtMs } = snapshot;
  const owner = { vm, run, term, layout: layoutFor(snapshot.layout) };
  let piece = new GrowingPiece(owner, {
    from: position,
    fromIcount: icount,
    fromTimeMs: takenAtMs,
    firstEpoch: snapshot.epoch,
  });
  let timeMs = takenAtMs;
  for await (const step of stepsBehind(file, snapshot)) {
    if (step.kind !== 'segment') {
      piece.mark(step.kind, step.icount, step.judgement);
      continue;
    }
    timeMs = step.receivedAtMs;
    piece.take(step.segment, timeMs);
    if (piece.bytes < snapshotLimits.logPieceBytes) continue;
    const whole = piece.end(timeMs);
    yield whole;
    piece = new GrowingPiece(owner, {
      from: whole.to,
      fromIcount: whole.toIcount,
      fromTimeMs: timeMs,
      firstEpoch: whole.lastEpoch,
    });
  }
  if (piece.bytes > 0) yield piece.end(timeMs);
}

/** What was received behind the cut of the snapshot. */
type Step =
  | DurableMark
  | { readonly kind: 'segment'; readonly segment: Segment; readonly receivedAtMs: number };

/** In order. Throws `log-format` when it is no log behind this snapshot, or damaged. */
async function* stepsBehind(file: string, snapshot: SnapshotManifest): AsyncGenerator<Step, void> {
  const { position, icount } = snapshot;
  const layout = layoutFor(snapshot.layout);
  const unpacker = new SegmentUnpacker(layout);
  const tail = receivedLogTail(layout, { position, icount });
  const reader = new DurableLogReader(file);
  try {
    const other = difference(reader.base, snapshot);
    if (other !== undefined) throw unfit(file, `is of another recording: ${other}`);
    let isBehind = false;
    for await (const record of turning(reader)) {
      if (record.kind === 'frame') {
        const { receivedAtMs, ...claim } = record;
        // Each payload needs those before it to be unpacked, also those before the snapshot.
        const bytes = unpacker.unpack(record.payload);
        if (!isBehind) continue;
        yield { kind: 'segment', segment: tail.pushSegment({ ...claim, bytes }), receivedAtMs };
      } else if (isBehind) {
        if (record.kind === 'cut' && record.icount !== tail.icount) {
          throw unfit(file, `has a cut at icount ${record.icount} where it is ${tail.icount}`);
        }
        yield record;
      } else if (record.kind === 'cut') {
        isBehind = record.position === position && record.icount === icount;
      }
    }
    if (!isBehind) throw unfit(file, `has no cut at position ${position}, icount ${icount}`);
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

function unfit(file: string, why: string): UnderstudyError {
  return new UnderstudyError('log-format', `'${file}' ${why}`);
}
