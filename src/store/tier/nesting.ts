/** Whether of two directories one has the other in it. */
import path from 'node:path';

/** What `copyTo` is to the store, in words, by absolute names; `undefined`: they lie apart. */
export function nesting(store: string, copyTo: string): string | undefined {
  if (store === copyTo) return isStore;
  if (liesIn(copyTo, store)) return liesInStore;
  return liesIn(store, copyTo) ? hasStore : undefined;
}

export const isStore = 'is the store itself';
export const liesInStore = 'lies in the store';
export const hasStore = 'has the store in it';

function liesIn(inner: string, outer: string): boolean {
  const way = path.relative(outer, inner);
  return way !== '..' && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way);
}
