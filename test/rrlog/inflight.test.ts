import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Icount, LogPosition } from '../../src/base/units.ts';
import { type CutPoint, RequestTracker } from '../../src/rrlog/inflight.ts';

const at = (position: number) => position as LogPosition;
const cut = (position: number, blockRequestId: number, icount = 1000): CutPoint => ({
  position: at(position),
  icount: icount as Icount,
  blockRequestId,
});

describe('RequestTracker', () => {
  it('knows what is complete, in whatever order completions come', () => {
    // Goal: the watermark and the list of open requests equal those of a plain set.
    fc.assert(
      fc.property(fc.shuffledSubarray(Array.from({ length: 40 }, (_, i) => i + 3)), (completed) => {
        const tracker = new RequestTracker(3);
        for (const id of completed) tracker.noteBlock(id, at(0));
        const open: number[] = [];
        for (const id of tracker.uncompleted()) {
          if (open.push(id) > 45) break;
        }
        const naive = Array.from({ length: 120 }, (_, i) => i + 3);
        const expected = naive.filter((id) => !completed.includes(id)).slice(0, 46);
        expect(open).toEqual(expected);
        expect(tracker.completedBelow).toBe(expected[0]);
        expect(tracker.drawnAtLeast).toBe(Math.max(2, ...completed) + 1);
      }),
    );
  });

  it('refuses a request that completes twice or is absurdly far ahead', () => {
    // Goal: a misread log is noticed by its ids.
    const tracker = new RequestTracker();
    tracker.noteBlock(0, at(12));
    tracker.noteBlock(2, at(21));
    for (const id of [0, 2, 100_000]) {
      expect(() => tracker.noteBlock(id, at(30))).toThrow(/disk request \d+ .* at position 30/);
    }
  });

  it('accepts a cut only when every request drawn before it had completed before it', () => {
    // Goal: the two ways a request can be in flight at a cut are both found.
    const tracker = new RequestTracker();
    tracker.openCut();
    tracker.noteBlock(0, at(100));
    tracker.noteBlock(2, at(109));
    expect(tracker.judgeCut(cut(200, 1), at(150))).toEqual({ state: 'unknown' });
    expect(tracker.judgeCut(cut(200, 1), at(200))).toEqual({ state: 'valid' });
    // Request 1 has not completed at all: the cut need not wait for it to be refused.
    expect(tracker.judgeCut(cut(200, 3), at(200))).toMatchObject({ requests: [1] });
    // It completes after the cut.
    tracker.noteBlock(1, at(250));
    expect(tracker.judgeCut(cut(200, 3), at(300))).toMatchObject({
      state: 'invalid',
      requests: [1],
    });
    // A request drawn after the cut says nothing against it; one at the cut itself does.
    expect(tracker.judgeCut(cut(240, 1), at(300))).toEqual({ state: 'valid' });
    expect(tracker.judgeCut(cut(250, 2), at(300))).toMatchObject({ requests: [1] });
    expect(tracker.judgeCut(cut(251, 3), at(300))).toEqual({ state: 'valid' });
  });

  it('refuses a cut that a bottom half crossed', () => {
    // Goal: a bottom half scheduled up to the cut's icount and run after it makes the cut invalid.
    const tracker = new RequestTracker();
    tracker.openCut();
    tracker.noteBottomHalf(900, at(150));
    tracker.noteBottomHalf(1001, at(210));
    expect(tracker.judgeCut(cut(200, 0), at(300))).toEqual({ state: 'valid' });
    tracker.noteBottomHalf(1000, at(310));
    expect(tracker.judgeCut(cut(200, 0), at(320))).toEqual({
      state: 'invalid',
      requests: [],
      bottomHalves: [1000],
    });
  });
});
