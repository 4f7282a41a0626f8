// The durable log of the node that was backup is the log behind a snapshot of the same copy, whole
// and as the store would have it; a log of anything else is not used, and it is said why.
import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { epoch, icount, logPosition, term } from '../../src/base/units.ts';
import { padNetId } from '../../src/hypervisor/qemu/command-line.ts';
import { LogKeeper } from '../../src/node/keeping/log-keeper.ts';
import type { LogPiece, SnapshotManifest } from '../../src/ports/snapshot-store.ts';
import { DurableLog, type DurableLogBase } from '../../src/restore/durable-log.ts';
import { findDurableTail } from '../../src/restore/durable-tail.ts';
import { snapshotLimits } from '../../src/restore/limits.ts';
import { decodeLogPayload } from '../../src/restore/log-payload.ts';
import { encodeEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../../src/rrlog/log-tail.ts';
import { SegmentPacker } from '../../src/rrlog/packer.ts';
import { scratchDir } from '../node/scratch.ts';
import { facts } from '../store/rig.ts';

const layout = layoutFor('7.2');
const file = path.join(scratchDir(), 'web-b.durable-log');
const seedCut = { position: logPosition(5_000), icount: icount(700) };
const base: DurableLogBase = {
  ...seedCut,
  ...{ pair: 'web', vmFingerprint: 'f1', layout: '7.2', term: 3, seedId: '3.1', blockRequestId: 5 },
};

/** A backup that keeps the same log twice: durable, and in pieces behind its first kept cut. */
class Backup {
  readonly stored: LogPiece[] = [];
  readonly durable: DurableLog;
  readonly tail = new LogTail({
    ...{ layout, input: 'stripped', expectHeader: false, markerNetId: padNetId, start: seedCut },
  });
  readonly #packer = new SegmentPacker(layout);
  readonly #keeper: LogKeeper;
  nowMs = 1_700_000_000_000;

  constructor(changes: Partial<DurableLogBase> = {}) {
    const now = () => this.nowMs;
    const failed = (error: Error) => {
      throw error;
    };
    this.durable = new DurableLog(
      { path: file, budgetBytes: 1e9 },
      { ...base, ...changes },
      { onDurable: () => undefined, onFailure: failed, now },
    );
    this.#keeper = new LogKeeper({
      ...{ vm: 'web', run: '3.1-abc', layout, term: term(3), now },
      ...{ onBroken: failed, onRefused: failed },
      archive: { append: async (piece) => void this.stored.push(piece) },
    });
    this.#keeper.release();
  }

  receive(count: number, frameBytes = 100): void {
    const parts = [
      encodeEvent(layout, { kind: 'instruction', count }),
      encodeEvent(layout, { kind: 'net', id: 1, flags: 0, data: Buffer.alloc(frameBytes, count) }),
    ];
    const segment = this.tail.push(Buffer.concat(parts)) as Segment;
    this.nowMs += 25;
    this.durable.push({ ...segment, payload: this.#packer.pack(segment.bytes) });
    this.#keeper.received(segment);
  }

  resumed(): void {
    this.durable.resumed();
    this.#keeper.resumed();
  }

  /** A cut that is kept; returns what is known of its snapshot. */
  snapshot(judgement?: string): SnapshotManifest {
    const { position, icount: at } = this.tail;
    const cut = { icount: at, ...(judgement === undefined ? {} : { judgement }) };
    this.durable.cut(cut);
    this.#keeper.cut(cut);
    this.#keeper.begin(position, at);
    return {
      ...facts({ vm: 'web', run: '3.1-abc', seedId: '3.1', vmFingerprint: 'f1', layout: '7.2' }),
      ...{ term: term(3), epoch: epoch(0), icount: at, position, takenAtMs: this.nowMs },
      ...{ id: 's1', deviceStateBytes: 1, addedBytes: 1 },
    };
  }

  async die(): Promise<void> {
    await this.durable.close();
    await this.#keeper.close();
  }
}

async function found(snapshot: SnapshotManifest, keptTo: number = snapshot.position) {
  const tail = await findDurableTail(file, snapshot, logPosition(keptTo));
  if ('whyNot' in tail) throw new Error(tail.whyNot);
  const pieces: LogPiece[] = [];
  for await (const piece of tail.pieces) pieces.push(piece);
  return { pieces, endMs: tail.endMs };
}

/** What is executed by pieces: all events, and the marks at their places. */
function executed(pieces: readonly LogPiece[]) {
  let offset = 0;
  const parts = pieces.map(({ payload }) => {
    const { events, marks } = decodeLogPayload(layout, payload);
    const start = offset;
    offset += events.length;
    return { events, marks: marks.map((mark) => ({ ...mark, offset: start + mark.offset })) };
  });
  return {
    events: Buffer.concat(parts.map(({ events }) => events)),
    marks: parts.flatMap(({ marks }) => marks).filter(({ kind }) => kind !== 'time'),
  };
}

let backup: Backup;
beforeEach(() => {
  fs.rmSync(file, { force: true });
  backup = new Backup();
});

describe('a durable log', () => {
  it('leads from a snapshot on, with each stop and cut, as the log of the store does', async () => {
    for (let count = 1; count < 30; count += 1) backup.receive(count);
    backup.resumed(); // before the cut: nothing that is executed from it on
    const snapshot = backup.snapshot();
    backup.resumed();
    for (let count = 1; count < 20; count += 1) backup.receive(count);
    backup.resumed();
    for (let count = 1; count < 20; count += 1) backup.receive(count);
    backup.snapshot('ab'.repeat(26));
    for (let count = 1; count < 20; count += 1) backup.receive(count);
    const endMs = backup.nowMs;
    await backup.die();
    const { pieces, endMs: foundMs } = await found(snapshot, backup.tail.position);
    expect(executed(pieces)).toEqual(executed(backup.stored));
    expect(executed(pieces).marks).toMatchObject([
      { kind: 'resumed' },
      { kind: 'resumed' },
      { kind: 'cut', judgement: 'ab'.repeat(26) },
    ]);
    expect(pieces[0]).toMatchObject({ from: snapshot.position, fromIcount: snapshot.icount });
    expect(pieces.at(-1)).toMatchObject({ to: backup.tail.position, toIcount: backup.tail.icount });
    expect(foundMs).toBe(endMs);
  });

  it('of a long run comes in pieces that adjoin', async () => {
    const snapshot = backup.snapshot();
    const frame = 60_000;
    const frames = Math.ceil((2.5 * snapshotLimits.logPieceBytes) / frame);
    for (let count = 1; count <= frames; count += 1) backup.receive(count % 200, frame);
    await backup.die();
    const { pieces } = await found(snapshot);
    expect(pieces).toHaveLength(3);
    expect(pieces.slice(1).map(({ from }) => from)).toEqual(
      pieces.slice(0, -1).map(({ to }) => to),
    );
    // Not `toEqual`, which takes seconds for megabytes.
    expect(executed(pieces).events.equals(executed(backup.stored).events)).toBe(true);
  });

  it('that ends at the cut has nothing behind it, and misses nothing', async () => {
    backup.receive(1);
    const snapshot = backup.snapshot();
    await backup.die();
    expect(await found(snapshot)).toEqual({ pieces: [], endMs: backup.nowMs });
  });

  it('with a torn end: what was being written is left out', async () => {
    const snapshot = backup.snapshot();
    backup.receive(1);
    const whole = backup.tail.position;
    backup.receive(2);
    await backup.die();
    fs.truncateSync(file, fs.statSync(file).size - 7);
    const { pieces } = await found(snapshot, whole);
    expect(pieces.map(({ to }) => to)).toEqual([whole]);
  });
});

describe('is not used', () => {
  const why = async (snapshot: SnapshotManifest, keptTo: number = snapshot.position) => {
    const tail = await findDurableTail(file, snapshot, logPosition(keptTo));
    return 'whyNot' in tail ? tail.whyNot : 'it is';
  };

  it.each([
    [{ pair: 'shop' }, "its pair is shop, the snapshot's web"],
    [{ vmFingerprint: 'f2' }, "its machine is f2, the snapshot's f1"],
    [{ layout: '10.0' as const }, "its layout is 10.0, the snapshot's 7.2"],
    [{ term: 2 }, "its term is 2, the snapshot's 3"],
    [{ seedId: '3.2' }, "its seed is 3.2, the snapshot's 3.1"],
  ])('another recording: %o', async (changes, reason) => {
    const snapshot = backup.snapshot();
    await backup.die();
    await new Backup(changes).die();
    expect(await why(snapshot)).toContain(`is of another recording: ${reason}`);
  });

  it('one that does not have the cut there', async () => {
    backup.receive(1);
    const snapshot = backup.snapshot();
    backup.receive(2);
    await backup.die();
    const earlier = { ...snapshot, icount: icount(snapshot.icount - 1) };
    expect(await why(earlier)).toContain(`no cut at position ${snapshot.position}, icount 700`);
    expect(await why(snapshot)).toBe('it is');
  });

  it('one that is damaged before the end of the log in the store', async () => {
    const snapshot = backup.snapshot();
    backup.receive(1);
    const whole = backup.tail.position;
    backup.receive(2);
    const bytes = fs.statSync(file).size;
    backup.receive(3);
    await backup.die();
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, Buffer.from('damaged'), 0, 7, bytes - 10);
    fs.closeSync(fd);
    const end = backup.tail.position;
    expect(await why(snapshot, end)).toContain(`ends at ${whole}, the log in the store at ${end}`);
  });

  it('one with a frame that is none, also one from before the snapshot', async () => {
    const spoilt = (): void => {
      const { position: from } = backup.tail;
      const to = logPosition(from + 5);
      backup.durable.push({ from, to, icount: icount(701), payload: Buffer.alloc(20, 9) });
    };
    const snapshot = backup.snapshot();
    spoilt();
    await backup.die();
    expect(await why(snapshot)).toContain('cannot unpack a segment');
    backup = new Backup();
    spoilt();
    const behind = backup.snapshot();
    await backup.die();
    expect(await why(behind)).toContain('cannot unpack a segment');
  });

  it('one whose frames end elsewhere than they say', async () => {
    const snapshot = backup.snapshot();
    const { position: from } = backup.tail;
    const bytes = encodeEvent(layout, { kind: 'instruction', count: 5 });
    const payload = new SegmentPacker(layout).pack(bytes);
    backup.durable.push({ from, to: logPosition(from + 5), icount: icount(704), payload });
    await backup.die();
    expect(await why(snapshot)).toContain('ends at icount 704, expected 705');
  });

  it('one with a cut where another icount is', async () => {
    const snapshot = backup.snapshot();
    backup.receive(1);
    backup.durable.cut({ icount: icount(700) });
    backup.receive(1);
    await backup.die();
    expect(await why(snapshot)).toContain('has a cut at icount 700 where it is 701');
  });

  it('none, or something else in its place', async () => {
    const snapshot = backup.snapshot();
    await backup.die();
    fs.writeFileSync(file, 'a letter');
    expect(await why(snapshot)).toContain('is no spool');
    fs.rmSync(file);
    expect(await why(snapshot)).toContain('is not there');
  });
});
