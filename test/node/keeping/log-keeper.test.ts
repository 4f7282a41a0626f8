// Log behind a kept cut is kept without a gap, or it is said that there is one.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { icount, logPosition, term } from '../../../src/base/units.ts';
import { LogKeeper } from '../../../src/node/keeping/log-keeper.ts';
import type { LogPiece } from '../../../src/ports/snapshot-store.ts';
import { snapshotLimits } from '../../../src/restore/limits.ts';
import { decodeLogPayload } from '../../../src/restore/log-payload.ts';
import { encodeEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../../../src/rrlog/log-tail.ts';

const layout = layoutFor('7.2');
/** An archive that takes what it is given, or not. */
class Archive {
  readonly pieces: LogPiece[] = [];
  /** What the next `append` throws, once. */
  failure: Error | undefined;

  async append(piece: LogPiece): Promise<void> {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    this.pieces.push(piece);
  }
}

let store: Archive;
let tail: LogTail;
let broken: Error[];
let refused: Error[];
let keeper: LogKeeper;

beforeEach(() => {
  vi.useFakeTimers();
  store = new Archive();
  tail = new LogTail({ layout, input: 'stripped', expectHeader: false, markerNetId: 0 });
  broken = [];
  refused = [];
  keeper = new LogKeeper({
    ...{ vm: 'web', run: '1.1', layout, term: term(1), archive: store },
    onBroken: (error) => broken.push(error),
    onRefused: (error) => refused.push(error),
    now: () => 1_000_000 + Math.round(performance.now()),
  });
});
afterEach(async () => {
  await keeper.close();
  vi.useRealTimers();
});

function segment(instructions: number, frameBytes = 0): Segment {
  const parts = [encodeEvent(layout, { kind: 'instruction', count: instructions })];
  if (frameBytes > 0) {
    const data = Buffer.alloc(frameBytes, 7);
    parts.push(encodeEvent(layout, { kind: 'net', id: 1, flags: 0, data }));
  }
  return tail.push(Buffer.concat(parts)) as Segment;
}

const pieceMs = snapshotLimits.logPieceMs;

test('pieces adjoin, and nothing is written before a snapshot was begun', async () => {
  keeper.received(segment(5)); // before the cut
  const from = tail.position;
  keeper.begin(from, tail.icount);
  keeper.received(segment(10));
  keeper.resumed();
  await vi.advanceTimersByTimeAsync(2 * pieceMs);
  expect(store.pieces).toEqual([]);
  keeper.release();
  await vi.advanceTimersByTimeAsync(pieceMs);
  keeper.received(segment(20));
  const judgement = 'ab'.repeat(26);
  keeper.cut({ icount: tail.icount });
  keeper.cut({ icount: tail.icount, judgement });
  await vi.advanceTimersByTimeAsync(pieceMs);
  keeper.received(segment(30));
  await keeper.close();

  const { pieces } = store;
  expect(pieces.map((piece) => [piece.fromIcount, piece.toIcount])).toEqual([
    [5, 15],
    [15, 35],
    [35, 65],
  ]);
  expect(pieces[0]?.from).toBe(from);
  expect(pieces.slice(1).map((piece) => piece.from)).toEqual(
    pieces.slice(0, -1).map((piece) => piece.to),
  );
  const marks = pieces.flatMap((piece) => decodeLogPayload(layout, piece.payload).marks);
  expect(marks.filter(({ kind }) => kind !== 'time')).toMatchObject([
    { kind: 'resumed', offset: 5 },
    { kind: 'cut', value: 35 },
    { kind: 'cut', value: 35, judgement },
  ]);
});

test('a store that refuses is offered the same piece again', async () => {
  keeper.begin(tail.position, tail.icount);
  keeper.release();
  keeper.received(segment(10));
  store.failure = new Error('the disk is full');
  await vi.advanceTimersByTimeAsync(pieceMs);
  expect(refused.map(({ message }) => message)).toEqual(['the disk is full']);
  keeper.received(segment(10));
  await vi.advanceTimersByTimeAsync(pieceMs);
  expect(store.pieces.map(({ toIcount }) => toIcount)).toEqual([10, 20]);
  expect(broken).toEqual([]);
});

test('a store that never takes: the log is given up once, and kept again from the next cut', async () => {
  keeper.begin(tail.position, tail.icount);
  const frame = 100_000;
  for (let sum = 0; sum <= snapshotLimits.logWaitingBytesMax; sum += frame) {
    keeper.received(segment(1, frame));
  }
  expect(broken).toHaveLength(1);
  expect(keeper.isKeeping).toBe(false);
  keeper.received(segment(1));
  keeper.begin(tail.position, tail.icount);
  const again = tail.icount;
  keeper.release();
  keeper.received(segment(1));
  await vi.advanceTimersByTimeAsync(pieceMs);
  expect(store.pieces.map(({ fromIcount }) => fromIcount)).toEqual([again]);
});

test('log with a gap is not kept as if it had none', () => {
  keeper.begin(logPosition(tail.position + 100), icount(100));
  keeper.received(segment(1));
  expect(broken.map(({ message }) => message)).toEqual(['Log came from 12 on, it was kept to 112']);
});
