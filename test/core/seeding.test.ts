/** Rounds of a seed get shorter until the last one may stop the guest; a broken link costs little. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { term } from '../../src/base/units.ts';
import { resumeSeed, SeedRounds } from '../../src/core/seeding.ts';

const megabyte = 1024 * 1024;

describe('the rounds of a seed', () => {
  it('a quiet guest: one long round, one short pause (1)', () => {
    const rounds = new SeedRounds();
    expect(rounds.next({ bytes: 128 * megabyte, bytesPerSecond: undefined })).toEqual({
      type: 'round',
      number: 1,
    });
    expect(rounds.next({ bytes: 5 * megabyte, bytesPerSecond: 100 * megabyte })).toEqual({
      type: 'final',
      number: 2,
      expectedPauseMs: 50,
      reason: 'short enough',
    });
  });

  it('a guest that writes faster than the link: the rounds end, and the pause is told (1)', () => {
    const rounds = new SeedRounds();
    rounds.next({ bytes: 128 * megabyte, bytesPerSecond: undefined });
    const next = rounds.next({ bytes: 120 * megabyte, bytesPerSecond: 100 * megabyte });
    expect(next).toMatchObject({ type: 'final', reason: 'no longer getting shorter' });
    expect(next).toMatchObject({ expectedPauseMs: 1200 });
  });

  it('ends after a bounded number of rounds, whatever the guest does (1)', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat()), fc.nat(), (sizes, bytesPerSecond) => {
        const rounds = new SeedRounds();
        let count = 0;
        for (const bytes of sizes) {
          count += 1;
          if (rounds.next({ bytes, bytesPerSecond }).type === 'final') break;
        }
        expect(count).toBeLessThanOrEqual(limits.seedRoundsMax);
      }),
    );
  });
});

describe('a seed whose link broke', () => {
  const own = { seedId: '3.1', term: term(3), round: 2, bytes: 700 };

  it('goes on where the backup has it (3)', () => {
    expect(resumeSeed(own, { ...own, bytes: 512 })).toEqual({
      type: 'resume',
      round: 2,
      fromByte: 512,
    });
  });

  it('begins again, and says why, when it is not the same (3)', () => {
    const theirs: Parameters<typeof resumeSeed>[1][] = [
      undefined,
      { ...own, seedId: '3.2' },
      { ...own, term: term(4) },
      { ...own, round: 1 },
      { ...own, bytes: 701 },
      { ...own, round: 3 },
    ];
    for (const token of theirs) expect(resumeSeed(own, token).type).toBe('restart');
    expect(resumeSeed(undefined, own)).toMatchObject({ type: 'restart' });
  });
});
