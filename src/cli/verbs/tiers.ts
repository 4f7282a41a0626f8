/** Snapshots of a pair whose file has `copyTo`: which of them are safe, and waiting for that. */
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf, UnderstudyError } from '../../base/errors.ts';
import { loadPairConfig, nodeNames } from '../../node/pair-file/pair-config.ts';
import { answeringNodes } from '../../observe/pair-nodes.ts';
import type { SnapshotManifest } from '../../ports/snapshot-store.ts';
import { oldestFirst } from '../../store/order.ts';
import {
  grownAt,
  isThere,
  manifestThere,
  snapshotsThere,
  type Tier,
} from '../../store/tier/there.ts';
import { Progress } from '../../text/progress.ts';

/** `unknown`: it is in the store, and the other one cannot be read. Without `copyTo`: none. */
export type TieredManifest = SnapshotManifest & { readonly tier?: Tier | 'unknown' };

/**
 * All snapshots of both stores, oldest first, of one machine or all. When `copyTo` cannot be read
 * that is told to `warn`.
 */
export async function withTiers(
  local: readonly SnapshotManifest[],
  copyTo: string,
  { vm, warn }: { readonly vm?: string | undefined; readonly warn: (text: string) => void },
): Promise<TieredManifest[]> {
  let there: Map<string, string>;
  try {
    there = await snapshotsThere(copyTo);
  } catch (thrown) {
    warn(`what is safe is not known: ${reasonOf(thrown)}`);
    return local.map((manifest) => ({ ...manifest, tier: 'unknown' }));
  }
  const all: TieredManifest[] = local.map((manifest) => {
    return { ...manifest, tier: there.has(manifest.id) ? 'safe' : 'local' };
  });
  const here = new Set(local.map(({ id }) => id));
  for (const [id, machine] of there) {
    if (here.has(id) || (vm !== undefined && vm !== machine)) continue;
    const manifest = await manifestThere(copyTo, machine, id);
    if (manifest !== undefined) all.push({ ...manifest, tier: 'copy' });
  }
  return oldestFirst(all);
}

/** Where a pair's snapshots are to be safe. */
export interface SafePlace {
  readonly pairFile: string;
  /** The machine. */
  readonly vm: string;
  readonly store: string;
  readonly copyTo: string;
}

/** Throws `config` for a pair file without `copyTo`. */
export function safePlaceOf(pairFile: string): SafePlace {
  const { pair, snapshots } = loadPairConfig(pairFile, nodeNames(pairFile)[0] ?? '');
  const { store, copyTo } = snapshots ?? {};
  if (store !== undefined && copyTo !== undefined) {
    return { pairFile, vm: pair, store, copyTo: copyTo.directory };
  }
  throw new UnderstudyError('config', `Pair file '${pairFile}' has no 'copyTo': nothing is safe`, {
    hint: 'add `copyTo: DIRECTORY` to `snapshots` in it, see docs/restore.md; or leave --safe out',
  });
}

/** While nothing is copied: a share comes back within minutes. */
const safePatienceMs = 300_000;
/** In all: newer snapshots go first, and there may always be one. */
const safeMsMax = 3_600_000;
const lookMs = 500;

/** Waits until a snapshot is safe, and says what it waits for. Throws `store` when it is not. */
export async function untilSafe(
  { pairFile, vm, store, copyTo }: SafePlace,
  id: string,
  { patienceMs = safePatienceMs }: { readonly patienceMs?: number } = {},
): Promise<void> {
  const progress = new Progress(process.stderr);
  const begun = performance.now();
  let [changedAt, wasHere, why] = [begun, false, ''];
  let grown = await grownAt(copyTo);
  try {
    for (;;) {
      const isHere = await isThere(store, vm, id);
      if (await isThere(copyTo, vm, id)) return;
      if (wasHere && !isHere) throw notSafe(id, copyTo, 'it was removed before it was copied');
      wasHere = isHere;
      why = await whyNot(pairFile);
      const [now, before] = [performance.now(), grown];
      grown = await grownAt(copyTo);
      if (grown !== before) changedAt = now;
      if (now - changedAt >= patienceMs || now - begun > safeMsMax) {
        throw notSafe(id, copyTo, why);
      }
      progress.status(`${id} is kept, and not in '${copyTo}' yet${why === '' ? '' : `: ${why}`}`);
      await sleep(lookMs);
    }
  } finally {
    progress.end();
  }
}

/** What the nodes of this host say about copies. */
async function whyNot(pairFile: string): Promise<string> {
  const nodes = await answeringNodes(pairFile);
  const concerns = nodes.flatMap(({ status }) => status.concerns);
  return concerns.find(({ about }) => about === 'copies of snapshots')?.problem ?? '';
}

function notSafe(id: string, copyTo: string, why: string): UnderstudyError {
  return new UnderstudyError('store', `Snapshot '${id}' is kept, but not safe in '${copyTo}'`, {
    ...(why === '' ? {} : { cause: new Error(why) }),
    hint:
      'see `understudy status`, and the log of the backup, which copies; where each host has a ' +
      'directory of its own there, ask on the host of the backup',
  });
}
