/** Which further disks a machine gets, and where they are mounted. */
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { containerLimits } from './limits.ts';
import { directoryIn, partsOf } from './rooted-path.ts';

export interface Volume {
  /** Of the disk. */
  readonly id: string;
  /** Absolute, without `.` and `..`. */
  readonly place: string;
  /** As it was given; `undefined`: what is on it, and some room. */
  readonly size: string | undefined;
}

/** The disk with all the rest. */
export const rootDisk = 'root';

/**
 * Of texts `NAME:/path[:SIZE]`, and of paths that the image says; those that hold others come
 * first. Throws `config` with what is wrong.
 */
export function volumesOf(given: readonly string[], ofImage: readonly string[]): Volume[] {
  const volumes = given.map(parseVolume);
  const ids = new Set([rootDisk, ...volumes.map(({ id }) => id)]);
  if (ids.size !== volumes.length + 1) {
    throw wrong(`two volumes have one name, or '${rootDisk}'`, 'give each another');
  }
  for (const text of ofImage) {
    const place = placeOf(text);
    if (volumes.some((volume) => volume.place === place)) continue;
    let number = 1;
    while (ids.has(`vol${number}`)) number += 1;
    ids.add(`vol${number}`);
    volumes.push({ id: `vol${number}`, place, size: undefined });
  }
  if (new Set(volumes.map(({ place }) => place)).size !== volumes.length) {
    throw wrong('two volumes have one path', 'give each another');
  }
  if (volumes.length >= containerLimits.disksMax) {
    throw wrong(
      `there are ${volumes.length}, and at most ${containerLimits.disksMax - 1} may be`,
      'give one -v for a directory that holds several of them',
    );
  }
  return volumes.sort((a, b) => (a.place < b.place ? -1 : 1));
}

/** Where it is below `root`, with what the links of the image mean. Throws `config`. */
export function volumePlace(root: string, { place }: Volume): string {
  const real = directoryIn(root, partsOf(place), () => undefined) as string;
  return placeOf(`/${path.relative(root, real)}`);
}

function parseVolume(text: string): Volume {
  if (/^[/.~]/.test(text)) {
    throw wrong(
      `'${text}' is a directory of this host, which the other host does not have`,
      'give a name in its place, -v NAME:/path: the disk is filled with what the image has there',
    );
  }
  const [id = '', place, size, ...more] = text.split(':');
  if (!/^[a-z][a-z0-9_]{0,15}$/.test(id) || /^net[0-9]+$/.test(id)) {
    throw wrong(
      `'${id}' is no name of a disk`,
      'give 1 to 16 small letters, digits or underscores',
    );
  }
  if (place === undefined || more.length > 0 || size === '') {
    throw wrong(`it must be NAME:/path or NAME:/path:SIZE: current value is '${text}'`);
  }
  if (['ro', 'rw', 'z', 'Z'].includes(size ?? '')) {
    throw wrong(`'${size}' is no size`, 'leave it out: a volume is a disk of the machine');
  }
  return { id, place: placeOf(place), size };
}

function placeOf(text: string): string {
  const place = path.posix.normalize(text).replace(/(.)\/$/, '$1');
  const isWrong = !place.startsWith('/') || place === '/' || /[\n\0]/.test(place);
  const inTheWay = ['/proc', '/sys', '/dev'].find((of) => `${place}/`.startsWith(`${of}/`));
  if (!isWrong && inTheWay === undefined) return place;
  throw wrong(
    `'${text}' is no place for one: it must begin with /, and not be /, /proc, /sys or /dev`,
  );
}

function wrong(what: string, hint?: string): UnderstudyError {
  return new UnderstudyError(
    'config',
    `Volumes cannot be made: ${what}`,
    hint === undefined ? {} : { hint },
  );
}
