/**
 * What a fault is, and what faults are made of: hosts in another condition, paths that are cut, and
 * nodes that are started again.
 */
import { calmPath, type Path } from './network.ts';
import type { Pair } from './pair.ts';
import { type Condition, calmCondition } from './settings.ts';

export interface Fault {
  readonly name: string;
  /** How likely it is among those that may strike. */
  readonly weight: number;
  /** Share of the runs in which it may strike, permille. @default 400 */
  readonly drawnPermille?: number;
  /** Returns false when there is nothing that it could strike. */
  readonly strike: (pair: Pair) => boolean | undefined;
}

export const anyNode = (pair: Pair) => pair.world.prng.pick([pair.a, pair.b]);

/** A node that was struck down is started again after a while. */
export function restartLater(pair: Pair, node: Pair['a']): void {
  pair.world.after(pair.world.prng.between(30, 700), () => pair.startIfDown(node));
}

export function crash(pair: Pair, kind: 'process' | 'power'): boolean {
  // Most failures of interest are those of a primary.
  const node = pair.world.prng.chance(700) ? pair.primary : anyNode(pair);
  if (node?.isUp !== true) return false;
  node.crash(kind);
  restartLater(pair, node);
  return true;
}

/** Changes something for a while. */
export function forAWhile(pair: Pair, maxMs: number, change: () => () => void): true {
  const undo = change();
  pair.undo.add(undo);
  pair.world.after(pair.world.prng.between(20, maxMs), () => {
    if (pair.undo.delete(undo)) undo();
  });
  return true;
}

/** A host is in another condition for a while. */
export function change(
  pair: Pair,
  { condition }: Pair['a'],
  to: Partial<Condition>,
  maxMs = 2000,
): true {
  return forAWhile(pair, maxMs, () => {
    Object.assign(condition, to);
    return () => Object.assign(condition, calmCondition(pair.world.prng));
  });
}

export function cutOne(pair: Pair, from: string, to: string): () => void {
  pair.network.setCut(from, to, true);
  return () => pair.network.setCut(from, to, false);
}

export function changePath(pair: Pair, change: Partial<Path>): () => void {
  const [from, to] = pair.world.prng.pick([
    ['a', 'b'],
    ['b', 'a'],
  ] as const);
  const path = pair.network.path(from, to);
  Object.assign(path, change);
  return () => Object.assign(path, { ...calmPath(), cut: path.cut });
}
