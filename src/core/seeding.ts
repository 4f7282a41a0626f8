/**
 * Seeding: how a machine's state gets to a new backup while the machine runs, and where it goes on
 * when the link breaks in the middle.
 *
 * Intuition: what is copied while the guest runs is old when it arrives; but what the guest changed
 * meanwhile is less than the whole, and what it changes while that is copied is less still. So state
 * is sent in rounds, each with what changed during the one before, until the last one is so short
 * that the guest may stand still for it. A guest that changes its memory faster than the link carries
 * it never gets there: the rounds end when they stop getting shorter.
 *
 * Contract
 *  1. A round is `final`, with the guest standing, when it would take at most `seedPauseMs` by the
 *     measured bandwidth, when it is no shorter than `seedRoundGain` of the one before, or when
 *     `seedRoundsMax` is reached. What is expected of the pause is said with it.
 *  2. The cut of the final round is where the log goes on; nothing is shipped before it.
 *  3. A backup says how much of a seed it has (`SeedToken`). A seed goes on from there only when it is
 *     the same seed of the same term and the sender still has its rounds; otherwise it begins again,
 *     and says why.
 */
import { limits } from '../base/limits.ts';
import type { Term } from '../base/units.ts';

export interface RoundMeasure {
  /** Bytes that have to be sent now: everything at first, then what changed meanwhile. */
  readonly bytes: number;
  /** What the last round carried, in bytes a second; `undefined` before the first one. */
  readonly bytesPerSecond: number | undefined;
}

export type NextRound =
  /** Copy while the guest runs. */
  | { readonly type: 'round'; readonly number: number }
  /** Stop the guest, cut, and copy the rest. */
  | {
      readonly type: 'final';
      readonly number: number;
      readonly expectedPauseMs: number | undefined;
      readonly reason: 'short enough' | 'no longer getting shorter' | 'enough rounds';
    };

/** Plans the rounds of one seed. */
export class SeedRounds {
  #number = 0;
  #lastBytes: number | undefined;

  /** What comes after the round that has just ended, or first. */
  next({ bytes, bytesPerSecond }: RoundMeasure): NextRound {
    this.#number += 1;
    const number = this.#number;
    const before = this.#lastBytes;
    this.#lastBytes = bytes;
    const expectedPauseMs = bytesPerSecond && (bytes / bytesPerSecond) * 1000;
    const final = (reason: (NextRound & { type: 'final' })['reason']): NextRound => ({
      type: 'final',
      number,
      expectedPauseMs,
      reason,
    });
    if (expectedPauseMs !== undefined && expectedPauseMs <= limits.seedPauseMs) {
      return final('short enough');
    }
    if (before !== undefined && bytes > before * limits.seedRoundGain) {
      return final('no longer getting shorter');
    }
    if (number >= limits.seedRoundsMax) return final('enough rounds');
    return { type: 'round', number };
  }
}

/** How far a backup has a seed. */
export interface SeedToken {
  readonly seedId: string;
  readonly term: Term;
  /** The round being received, and how many of its bytes are there. */
  readonly round: number;
  readonly bytes: number;
}

export type Resumption =
  | { readonly type: 'resume'; readonly round: number; readonly fromByte: number }
  | { readonly type: 'restart'; readonly reason: string };

/** What a sender with `own` does for a backup that comes back with `theirs`. */
export function resumeSeed(own: SeedToken | undefined, theirs: SeedToken | undefined): Resumption {
  const restart = (reason: string): Resumption => ({ type: 'restart', reason });
  if (theirs === undefined) return restart('the backup has nothing');
  if (own === undefined) return restart('this primary remembers no seed');
  if (theirs.seedId !== own.seedId) return restart(`the backup has another seed, ${theirs.seedId}`);
  if (theirs.term !== own.term) return restart(`the seed is of term ${theirs.term}`);
  const isAhead =
    theirs.round > own.round || (theirs.round === own.round && theirs.bytes > own.bytes);
  if (isAhead) return restart('the backup has more than was sent');
  if (theirs.round < own.round) return restart(`round ${theirs.round} is not kept any more`);
  return { type: 'resume', round: theirs.round, fromByte: theirs.bytes };
}
