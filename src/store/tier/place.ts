/**
 * Whether a directory can be the place of copies: it is there, is no part of what is copied, and is
 * a store of ours or empty.
 *
 * It is not made: the directory of a share that is not mounted would be made on the disk below.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { failure, isMissing } from '../failure.ts';
import { manifestSuffix, Places, packSuffix, temporaryPrefix } from '../file-names.ts';
import { hasStore, isStore, liesInStore, nesting } from './nesting.ts';

/** Of packs and manifests that this program reads and writes. */
const version = 1;

/**
 * Throws `config` for one that can never be, `store` for one that is not there, and what the system
 * refuses.
 */
export async function requirePlace(from: string, to: string): Promise<void> {
  try {
    await requireDirectory(to);
    await refuseSame(from, to);
    await refuseOther(to);
  } catch (thrown) {
    throw failure(`Cannot use '${to}' for copies of snapshots`, thrown);
  }
}

function nested(from: string, to: string, what: string): UnderstudyError {
  return new UnderstudyError('config', `'copyTo' ${what}: current value is '${to}'`, {
    hint: `name a directory on another disk or host than that of the store, '${from}'`,
  });
}

/** By what they are: links and mounts are followed. */
async function refuseSame(from: string, to: string): Promise<void> {
  const [realFrom, realTo] = [await realPlace(from), await realPlace(to)];
  const what = nesting(realFrom, realTo);
  if (what !== undefined) throw nested(from, to, what);
  const [identityFrom, identityTo] = [await identity(realFrom), await identity(realTo)];
  if (identityFrom === undefined || identityTo === undefined) return;
  if (identityFrom === identityTo) throw nested(from, to, isStore);
  if (await hasAbove(realTo, identityFrom)) throw nested(from, to, liesInStore);
  if (await hasAbove(realFrom, identityTo)) throw nested(from, to, hasStore);
}

/** The name without links, as far as it is there. */
async function realPlace(directory: string): Promise<string> {
  try {
    return await fs.realpath(directory);
  } catch (thrown) {
    const above = path.dirname(directory);
    if (!isMissing(thrown) || above === directory) throw thrown;
    return path.join(await realPlace(above), path.basename(directory));
  }
}

async function identity(directory: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await fs.stat(directory, { bigint: true });
    return `${dev}:${ino}`;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

async function hasAbove(directory: string, wanted: string): Promise<boolean> {
  for (let at = path.dirname(directory); ; at = path.dirname(at)) {
    if ((await identity(at)) === wanted) return true;
    if (at === path.dirname(at)) return false;
  }
}

async function requireDirectory(to: string): Promise<void> {
  const found = await fs.stat(to).catch((thrown: unknown) => {
    const { code } = asError(thrown) as NodeJS.ErrnoException;
    if (code === 'ENOTDIR') throw noDirectory(to);
    if (!isMissing(thrown)) throw thrown;
    throw new UnderstudyError('store', `There is no directory '${to}' for copies of snapshots`, {
      mayPass: true,
      hint: 'mount what it lies on, or make it: it is not made, as it might be the wrong disk',
    });
  });
  if (!found.isDirectory()) throw noDirectory(to);
  await fs.access(to, fs.constants.W_OK);
}

const noDirectory = (to: string): UnderstudyError =>
  new UnderstudyError('config', `'copyTo' is no directory: current value is '${to}'`, {
    hint: 'name the directory of another store, or an empty one',
  });

/** Other files, and stores of another version. */
async function refuseOther(to: string): Promise<void> {
  const names = (await fs.readdir(to)).filter((name) => !isOfNobody(name));
  const places = new Places(to);
  const ours = [places.packs, places.snapshots, places.logs, places.owners];
  const isStore = names.some((name) => ours.includes(path.join(places.directory, name)));
  if (names.length > 0 && !isStore) {
    const some = names.slice(0, 3).join(', ');
    throw new UnderstudyError('config', `'copyTo' has other files in it: '${to}' has ${some}`, {
      hint: 'name the directory of another store, or an empty one',
    });
  }
  const found = (await packVersion(places)) ?? (await manifestVersion(places)) ?? version;
  if (found === version) return;
  throw new UnderstudyError(
    'config',
    `'copyTo' is a store of version ${found}, and this program writes version ${version}: ` +
      `current value is '${to}'`,
    { hint: 'name another directory; or copy with the program that made that store' },
  );
}

/** What file systems and servers have in their topmost directory. */
const isOfNobody = (name: string): boolean =>
  name === 'lost+found' || name.startsWith(temporaryPrefix) || name.startsWith('.');

/** Of the first one that there is. */
async function packVersion({ packs }: Places): Promise<number | undefined> {
  const name = (await namesIn(packs)).find((candidate) => candidate.endsWith(packSuffix));
  if (name === undefined) return undefined;
  const head = Buffer.alloc(8);
  const file = await fs.open(path.join(packs, name));
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  return head.toString('latin1', 0, 4) === 'USPK' ? head.readUInt32BE(4) : undefined;
}

async function manifestVersion({ snapshots }: Places): Promise<number | undefined> {
  for (const vm of await namesIn(snapshots)) {
    const directory = path.join(snapshots, vm);
    const name = (await namesIn(directory)).find((found) => found.endsWith(manifestSuffix));
    if (name === undefined) continue;
    const [line = ''] = (await fs.readFile(path.join(directory, name), 'utf8')).split('\n');
    // A damaged one is no other version: `verify` names it.
    return Number(/"understudy":"snapshot","version":(\d+)/.exec(line)?.[1] ?? version);
  }
  return undefined;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await fs.readdir(directory);
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
}
