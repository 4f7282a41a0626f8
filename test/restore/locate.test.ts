// How many instructions had been executed at an instant is read from the kept log alone.
import { describe, expect, it } from 'vitest';
import { epoch, icount, logPosition, term } from '../../src/base/units.ts';
import type { LogPiece } from '../../src/ports/snapshot-store.ts';
import type { Instant } from '../../src/restore/instant.ts';
import { icountOf } from '../../src/restore/locate.ts';
import { encodeLogPayload, type LogMark } from '../../src/restore/log-payload.ts';
import { encodeEvent } from '../../src/rrlog/events.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';

const layout = layoutFor('7.2');
const instructions = (count: number): Buffer => encodeEvent(layout, { kind: 'instruction', count });
const run = instructions(100);

/**
 * Pieces of two runs of 100 instructions each; the cut is behind the first run of the first piece.
 */
function piece(index: number, marks: readonly LogMark[]): LogPiece {
  const events = Buffer.concat([run, run]);
  const from = 500 + index * events.length;
  const before = 1000 + index * 200;
  return {
    ...{ vm: 'web', run: 'r1', layout: '7.2', term: term(1) },
    ...{ from: logPosition(from), to: logPosition(from + events.length) },
    ...{ fromIcount: icount(before), toIcount: icount(before + 200) },
    ...{ fromTimeMs: index * 1000, toTimeMs: index * 1000 + 1000 },
    ...{ firstEpoch: epoch(index), lastEpoch: epoch(index) },
    payload: encodeLogPayload(layout, { events, marks }),
  };
}

const mark = (index: number, kind: LogMark['kind'], value: number): LogMark => {
  const offset = run.length;
  return { kind, offset, position: logPosition(500 + index * 2 * offset + offset), value };
};
const cut = { position: logPosition(500 + run.length), icount: icount(1100) };
const pieces = [piece(0, [mark(0, 'cut', 1100)]), piece(1, [mark(1, 'time', 1500)])];

async function* given(all: readonly LogPiece[]): AsyncGenerator<LogPiece> {
  yield* all;
}
const found = (until: Instant, all: readonly LogPiece[] = pieces) =>
  icountOf({ layout, cut, pieces: given(all), until });

describe('the icount', () => {
  it('of an icount is itself, up to the last one that is kept', async () => {
    for (const at of [1100, 1101, 1200, 1399, 1400]) {
      expect(await found({ kind: 'icount', icount: at })).toBe(at);
    }
  });

  it('of the end is that of the last event, or of the cut', async () => {
    expect(await found({ kind: 'end' })).toBe(1400);
    expect(await found({ kind: 'end' }, [])).toBe(1100);
  });

  it('of a time is that of the last mark before it', async () => {
    expect(await found({ kind: 'time', ms: 1600 })).toBe(1300);
    expect(await found({ kind: 'time', ms: 1400 })).toBe(1200);
  });
});

describe('no icount', () => {
  it('behind the kept log: says where that ends', async () => {
    const beyond = 'The kept log ends before icount 1401: at icount 1400, 1970-01-01T00:00:02.000Z';
    await expect(found({ kind: 'icount', icount: 1401 })).rejects.toThrow(beyond);
    await expect(found({ kind: 'time', ms: 2000 })).rejects.toThrow('at icount 1400');
    await expect(found({ kind: 'epoch', epoch: 9 })).rejects.toThrow('before epoch 9');
  });

  it('in log that does not go on from the cut, or is damaged', async () => {
    const other = [piece(0, [])];
    await expect(found({ kind: 'end' }, other)).rejects.toThrow(/does not go on from position/);
    const damaged = { ...(pieces[0] as LogPiece), payload: Buffer.from('nothing') };
    await expect(found({ kind: 'end' }, [damaged])).rejects.toMatchObject({ code: 'log-format' });
  });
});
