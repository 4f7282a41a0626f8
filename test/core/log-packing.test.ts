// Plain is what a processor gains and a link does not miss, and what nobody keeps.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import type { Millis } from '../../src/base/units.ts';
import { LogPacking } from '../../src/core/log-packing.ts';

const { nearRoundTripMs: near, plainWithinMs } = limits;
const far = near + 1;

describe('a piece of log', () => {
  interface Facts {
    readonly roundTripMs: number | undefined;
    readonly seededAt: number;
    readonly backupKeepsLog: boolean;
  }
  const usual: Facts = { roundTripMs: near, seededAt: 0, backupKeepsLog: false };

  /** Of pieces at these times, which travel plain. */
  function plain(times: readonly number[], facts: Partial<Facts> = {}): number[] {
    const { roundTripMs, seededAt, backupKeepsLog } = { ...usual, ...facts };
    const packing = new LogPacking({ backupKeepsLog });
    return times.filter((at) => {
      if (at >= seededAt) packing.seeded();
      return packing.isPlain(roundTripMs, at as Millis);
    });
  }

  it('is plain right behind another one', () => {
    const soon = plainWithinMs - 1;
    expect(plain([100, 100, 100 + soon, 101 + 2 * soon + 1])).toEqual([100, 100 + soon]);
  });

  it('is packed on a link that is far, or not known yet', () => {
    expect(plain([100, 101], { roundTripMs: far })).toEqual([]);
    expect(plain([100, 101], { roundTripMs: undefined })).toEqual([]);
  });

  it('is packed while its backup is seeded, and where it is kept on a disk', () => {
    expect(plain([100, 101, 102, 103], { seededAt: 102 })).toEqual([102, 103]);
    expect(plain([100, 101], { backupKeepsLog: true })).toEqual([]);
  });
});
