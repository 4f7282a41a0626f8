/**
 * What is in a store of copies, without opening it: a manifest that has its name says that all of
 * its snapshot is there.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import type { SnapshotManifest } from '../../ports/snapshot-store.ts';
import { failure, isMissing } from '../failure.ts';
import { manifestSuffix, Places, readWhole } from '../file-names.ts';
import { realFiles } from '../files.ts';
import { storeLimits } from '../limits.ts';
import { decodeManifest, publicManifest } from '../manifest.ts';

/** Where a snapshot is: only in the node's store, in both, or only in the other one. */
export type Tier = 'local' | 'safe' | 'copy';

/** Machine of each snapshot, by id. None where there is no such store. Throws what is refused. */
export async function snapshotsThere(directory: string): Promise<Map<string, string>> {
  const { snapshots } = new Places(directory);
  const found = new Map<string, string>();
  try {
    for (const vm of await realFiles.list(snapshots)) {
      for (const name of await realFiles.list(path.join(snapshots, vm))) {
        if (name.startsWith('.') || !name.endsWith(manifestSuffix)) continue;
        found.set(name.slice(0, -manifestSuffix.length), vm);
      }
    }
    return found;
  } catch (thrown) {
    throw failure(`Cannot list snapshots in '${directory}'`, thrown);
  }
}

/** Of one that is there. `undefined`: it was removed, or is damaged, which `verify` tells. */
export async function manifestThere(
  directory: string,
  vm: string,
  id: string,
): Promise<SnapshotManifest | undefined> {
  try {
    const file = new Places(directory).manifest(vm, id);
    const text = await readWhole(realFiles, file, storeLimits.headBytesMax);
    return text && publicManifest(decodeManifest(text, id));
  } catch {
    return undefined;
  }
}

/** When chunks were added last, milliseconds since 1970; `undefined`: never, as far as is known. */
export async function grownAt(directory: string): Promise<number | undefined> {
  try {
    return (await fs.stat(new Places(directory).packs)).mtimeMs;
  } catch {
    return undefined;
  }
}

export async function isThere(directory: string, vm: string, id: string): Promise<boolean> {
  try {
    await fs.access(new Places(directory).manifest(vm, id));
    return true;
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw failure(`Cannot look for snapshot '${id}' in '${directory}'`, thrown);
  }
}
