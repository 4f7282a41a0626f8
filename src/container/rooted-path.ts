/**
 * Paths below a directory, followed as in a root of its own: an absolute link begins at that
 * directory again, and what would lead out of it is refused.
 *
 * Invariant: what is returned lies in the directory, and so does every directory on the way, as
 * long as nobody else changes it meanwhile.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { containerLimits } from './limits.ts';

/** Where a name leads: below the root, without `.` and `..`; the root itself is empty. */
export function partsOf(name: string): readonly string[] {
  if (name.includes('\0')) throw leadsOut(name, 'there is a NUL in it');
  const parts = path.posix.normalize(`./${name}`).split('/');
  if (parts[0] === '..') throw leadsOut(name, 'it has more `..` than directories');
  return parts.filter((part) => part !== '' && part !== '.');
}

export function leadsOut(name: string, why: string): UnderstudyError {
  return new UnderstudyError('config', `'${name}' leads out of the root of the image: ${why}`, {
    hint: 'do not use this image: no tool makes such a name by itself',
  });
}

/**
 * The real directory that `parts` lead to below `root`; `undefined` when it is not there.
 * `make` is called for each directory that is missing, and makes it.
 *
 * @throws UnderstudyError `config` when a link on the way leads out of the root, or in circles, or
 * when there is something else than a directory on the way.
 */
export function directoryIn(
  root: string,
  parts: readonly string[],
  make?: (dir: string) => void,
): string | undefined {
  const name = parts.join('/');
  const left = [...parts];
  let at = root;
  let links = 0;
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (at === root)
        throw leadsOut(name, 'a symbolic link on the way has more `..` than directories');
      at = path.dirname(at);
      continue;
    }
    const next = path.join(at, part);
    const stat = fs.lstatSync(next, { throwIfNoEntry: false });
    if (stat === undefined) {
      if (make === undefined) return undefined;
      make(next);
      at = next;
    } else if (stat.isDirectory()) at = next;
    else if (stat.isSymbolicLink()) {
      links += 1;
      if (links > containerLimits.linksFollowedMax) throw wrong(name, 'links that lead in circles');
      const target = fs.readlinkSync(next);
      if (target.startsWith('/')) at = root;
      left.unshift(...target.split('/'));
    } else throw wrong(name, `'${part}', which is no directory,`);
  }
  return at;
}

function wrong(name: string, what: string): UnderstudyError {
  return new UnderstudyError('config', `The image has ${what} on the way to '${name}'`, {
    hint: 'make the image again: it cannot be laid out',
  });
}

/**
 * A small file of a root file system, followed as its own programs would; `undefined` when there is
 * none.
 */
export function readFileIn(root: string, name: string, bytesMax: number): string | undefined {
  let parts = partsOf(name);
  for (let links = 0; links <= containerLimits.linksFollowedMax; links += 1) {
    const dir = directoryIn(root, parts.slice(0, -1));
    if (dir === undefined) return undefined;
    const file = path.join(dir, parts.at(-1) ?? '');
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() === true && stat.size <= bytesMax) return fs.readFileSync(file, 'utf8');
    if (stat?.isSymbolicLink() !== true) return undefined;
    const target = fs.readlinkSync(file);
    parts = partsOf(target.startsWith('/') ? target : path.join(path.relative(root, dir), target));
  }
  return undefined;
}
