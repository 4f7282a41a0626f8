/** The files of an image, in a directory or in a tar archive that is not unpacked. */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { FileSource } from './byte-source.ts';
import { containerLimits } from './limits.ts';
import { readTar } from './tar-reader.ts';

export interface ImageFiles {
  /** Whether there is a regular file of this name, which has slashes between its parts. */
  has(name: string): boolean;
  /** Names at the top. */
  top(): readonly string[];
  /** Its content, a piece after the other. Throws `config` when it is not there. */
  stream(name: string): AsyncGenerator<Buffer>;
  close(): void;
}

/** A file that must be small. Throws `config` when it is not, or not there. */
export async function readSmall(files: ImageFiles, name: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of files.stream(name)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > containerLimits.jsonBytesMax) {
      throw new UnderstudyError(
        'config',
        `'${name}' in the image has more than ${containerLimits.jsonBytesMax} bytes`,
      );
    }
  }
  return Buffer.concat(pieces);
}

const notThere = (name: string): UnderstudyError =>
  new UnderstudyError('config', `The image is not whole: there is no '${name}' in it`, {
    hint: 'save or copy the image again',
  });

/** Of the directory `dir`; nothing outside of it is read, wherever a link in it leads. */
export function filesOfDirectory(dir: string): ImageFiles {
  const root = fs.realpathSync(dir);
  const find = (name: string): string | undefined => {
    try {
      const file = fs.realpathSync(path.join(root, name));
      return file.startsWith(`${root}/`) && fs.statSync(file).isFile() ? file : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    has: (name) => find(name) !== undefined,
    top: () => fs.readdirSync(root),
    async *stream(name) {
      const file = find(name);
      if (file === undefined) throw notThere(name);
      yield* fs.createReadStream(file, { highWaterMark: containerLimits.pieceBytes });
    },
    close: () => undefined,
  };
}

type Place = { readonly from: number; readonly bytes: number } | { readonly link: string };

/** Of the tar archive `file`, which is not compressed. Throws `config` when it is none. */
export async function filesOfTar(file: string): Promise<ImageFiles> {
  const fd = fs.openSync(file, 'r');
  try {
    const places = new Map<string, Place>();
    const top = new Set<string>();
    const source = new FileSource(fd, 0, fs.fstatSync(fd).size);
    for await (const { name, kind, offset, bytes, linkName } of readTar(source, file)) {
      const clean = cleanName(name);
      if (clean !== '') top.add(clean.split('/')[0] as string);
      if (kind === 'file') places.set(clean, { from: offset, bytes });
      else if (kind === 'hardLink') places.set(clean, { link: cleanName(linkName) });
      else if (kind === 'symlink') {
        places.set(clean, {
          link: cleanName(path.posix.join(path.posix.dirname(clean), linkName)),
        });
      }
    }
    return new FilesOfTar(fd, places, [...top]);
  } catch (thrown) {
    fs.closeSync(fd);
    throw thrown;
  }
}

/** Nothing is written by these names: one that leads nowhere is not found. */
const cleanName = (name: string): string =>
  path.posix.normalize(`/${name}`).slice(1).replace(/\/$/, '');

class FilesOfTar implements ImageFiles {
  readonly #fd: number;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #top: readonly string[];

  constructor(fd: number, places: ReadonlyMap<string, Place>, top: readonly string[]) {
    this.#fd = fd;
    this.#places = places;
    this.#top = top;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  top(): readonly string[] {
    return this.#top;
  }

  async *stream(name: string): AsyncGenerator<Buffer> {
    const place = this.#find(name);
    if (place === undefined) throw notThere(name);
    const end = place.from + place.bytes;
    const source = new FileSource(this.#fd, place.from, end);
    while (source.position < end) {
      const piece = await source.some(containerLimits.pieceBytes);
      if (piece.length === 0) throw notThere(name);
      yield piece;
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #find(name: string): { readonly from: number; readonly bytes: number } | undefined {
    let place = this.#places.get(cleanName(name));
    for (let links = 0; place !== undefined && 'link' in place; links += 1) {
      if (links === containerLimits.linksFollowedMax) return undefined;
      place = this.#places.get(place.link);
    }
    return place;
  }
}
