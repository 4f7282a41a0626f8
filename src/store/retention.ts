/**
 * Which snapshots a policy keeps, as a pure function.
 *
 * Intuition: `last`, `hourly` and `daily` each point at snapshots; what nobody points at goes.
 * `budget` then takes the oldest that are left, one by one, until the rest fits. Hours and days are
 * those of UTC.
 *
 * 1. Which is newer, order.ts tells, and no clock. Of an hour (a day) the newest snapshot stands
 *    for it. Only hours with snapshots count; one that a clock showed twice is one.
 * 2. Without `last`, `hourly` and `daily` all are kept, as far as the budget goes.
 * 3. One with a label was made by a person and is never removed here; it counts in the budget.
 * 4. The newest snapshot of each machine is never removed.
 * 5. Machines are judged apart, but share the budget.
 */
import type { SnapshotUsage } from '../ports/snapshot-store.ts';
import { groups, type Ordered, oldestFirst } from './order.ts';

/** `snapshots: keep:` of the pair file. */
export interface Keep {
  readonly last?: number;
  readonly hourly?: number;
  readonly daily?: number;
  /** Bytes in the store. */
  readonly budgetBytes?: number;
}

export type Judged = Ordered & { readonly label?: string | undefined };

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Ids of the snapshots to remove, oldest first. `usage` need be given only for a budget. */
export function chooseRemovals(
  snapshots: readonly Judged[],
  keep: Keep,
  usage: readonly SnapshotUsage[] = [],
): string[] {
  const newestFirst = oldestFirst(snapshots).reverse();
  const kept = new Set<string>();
  for (const own of byMachine(newestFirst)) {
    for (const id of keptOf(own, keep)) kept.add(id);
  }
  if (keep.budgetBytes !== undefined) dropOldest(newestFirst, kept, keep.budgetBytes, usage);
  return newestFirst
    .filter(({ id }) => !kept.has(id))
    .map(({ id }) => id)
    .reverse();
}

const byMachine = (snapshots: readonly Judged[]): Judged[][] => [
  ...groups(snapshots, ({ vm }) => vm).values(),
];

/** Of one machine's, newest first. */
function keptOf(own: readonly Judged[], { last, hourly, daily }: Keep): string[] {
  if (last === undefined && hourly === undefined && daily === undefined) {
    return own.map(({ id }) => id);
  }
  const newest = own.slice(0, Math.max(1, last ?? 0));
  const labelled = own.filter(isLabelled);
  const kept = [
    ...newest,
    ...labelled,
    ...newestOfEach(own, hourMs, hourly ?? 0),
    ...newestOfEach(own, dayMs, daily ?? 0),
  ];
  return kept.map(({ id }) => id);
}

function newestOfEach(own: readonly Judged[], spanMs: number, count: number): Judged[] {
  const spans = new Map<number, Judged>();
  for (const snapshot of own) {
    const span = Math.floor(snapshot.takenAtMs / spanMs);
    if (!spans.has(span)) spans.set(span, snapshot);
  }
  return [...spans.values()].slice(0, count);
}

/** Takes the oldest from `kept` until the rest fits. */
function dropOldest(
  newestFirst: readonly Judged[],
  kept: Set<string>,
  budgetBytes: number,
  usage: readonly SnapshotUsage[],
): void {
  const bytes = new Map(usage.map((entry) => [entry.id, entry.bytes]));
  let total = 0;
  for (const id of kept) total += bytes.get(id) ?? 0;
  const newest = new Set(byMachine(newestFirst).map((own) => own[0]?.id));
  for (const snapshot of newestFirst.toReversed()) {
    if (total <= budgetBytes) return;
    const { id } = snapshot;
    if (newest.has(id) || isLabelled(snapshot) || !kept.delete(id)) continue;
    total -= bytes.get(id) ?? 0;
  }
}

const isLabelled = ({ label }: Judged): boolean => label !== undefined;
