/**
 * Which snapshots a machine whose guest failed may go back to: decided from what is known, without
 * a look at anything.
 *
 * Intuition: a machine has one line of past: what it was, up to its boot. Going back leaves a
 * stretch of it behind, whose snapshots stay in the store, for people. What was executed (icount)
 * only rises on a line, also over takeovers; terms rise over all that happens.
 *
 * Contract
 *  1. Only what is on the line of the machine that failed counts: kept in a term in which a machine
 *     or copy of it was here, and not left behind by going back before.
 *  2. Only what was kept before the failure showed.
 *  3. Within the policy's time each goes further back than all before: what is newer has led to a
 *     failure already.
 *  4. Nothing that is older than the policy bears to lose.
 */
import type { SnapshotManifest } from '../../ports/snapshot-store.ts';

export type KeptCut = Pick<SnapshotManifest, 'id' | 'term' | 'icount' | 'takenAtMs'>;

/** A time that the machine has gone back. */
export interface Back {
  /** In this term it went on. */
  readonly term: number;
  readonly to: Pick<KeptCut, 'term' | 'icount'>;
}

export interface Line {
  /** The first term of which snapshots are its own. */
  readonly since: number;
  /** The oldest first. */
  readonly backs: readonly Back[];
}

export interface WhatFailed {
  readonly line: Line;
  /** What was executed when the guest was well; `undefined`: not known. */
  readonly wellAt: number | undefined;
  /** Where it has gone back to within the policy's time. */
  readonly tried: readonly Back['to'][];
  /** Of the wall, as `takenAtMs` is: for the last rule only. */
  readonly nowMs: number;
  readonly losesMs: number;
}

/** The newest first; or, in words, why there is none. `kept`: in the order of the store. */
export function candidates<T extends KeptCut>(
  kept: readonly T[],
  { line, wellAt, tried, nowMs, losesMs }: WhatFailed,
): readonly T[] | string {
  const own = kept.filter((cut) => isOn(line, cut));
  if (own.length === 0) return 'no snapshot of it is in the store of this node';
  const well = own.filter(({ icount }) => wellAt === undefined || icount <= wellAt);
  if (well.length === 0) return 'all of its snapshots were taken when it had failed already';
  const older = well.filter((cut) => tried.every((to) => isBefore(cut, to)));
  if (older.length === 0) return 'no snapshot is older than the one that it went back to before';
  const near = older.filter(({ takenAtMs }) => nowMs - takenAtMs <= losesMs);
  if (near.length > 0) return near.toReversed();
  const ageMs = nowMs - (older.at(-1)?.takenAtMs ?? 0);
  return (
    `the newest snapshot to go back to is ${minutes(ageMs)} old, and the policy bears to lose ` +
    `${minutes(losesMs)} (watchdog.loses)`
  );
}

function isOn({ since, backs }: Line, cut: KeptCut): boolean {
  if (cut.term < since) return false;
  return backs.every(({ term, to }) => cut.term >= term || !isBefore(to, cut));
}

type Place = Back['to'];

const isBefore = (a: Place, b: Place): boolean =>
  a.term <= b.term && a.icount <= b.icount && (a.term < b.term || a.icount < b.icount);

const minutes = (ms: number): string =>
  ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
