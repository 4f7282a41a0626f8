/**
 * A root file system, laid out in a directory from the layers of an image.
 *
 * Contract
 *  1. Nothing outside of the directory is written, linked to or removed, whatever the names, links
 *     and targets in a layer are: one that leads out of it is refused.
 *  2. A file `.wh.NAME` takes NAME of the layers below away, and `.wh..wh..opq` all that these have
 *     in its directory. What the same layer brings stays, wherever it comes in the archive.
 *  3. Owners, modes, times and capabilities are those of the layer. That needs root.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { makeNode, setAttribute } from '../host/libc.ts';
import { directoryIn, leadsOut, partsOf } from './rooted-path.ts';
import type { TarEntry } from './tar-reader.ts';

const whiteout = '.wh.';
const opaque = '.wh..wh..opq';
const { S_IFCHR, S_IFBLK, S_IFIFO } = fs.constants;

export class RootTree {
  readonly #root: string;
  /** What the present layer has brought. */
  #own = new Set<string>();
  /** A directory's time changes with what is put into it. */
  #directoryTimes = new Map<string, number>();

  /** `dir` is there, and empty. */
  constructor(dir: string) {
    this.#root = fs.realpathSync(dir);
  }

  /** Lays the entries of one layer over what is there. Throws `config` for what is refused. */
  async lay(
    entries: AsyncIterable<TarEntry>,
    { hasWhiteouts }: { readonly hasWhiteouts: boolean },
  ): Promise<void> {
    this.#own = new Set();
    this.#directoryTimes = new Map();
    for await (const entry of entries) {
      const parts = partsOf(entry.name);
      const name = parts.at(-1);
      if (name === undefined) this.#dressRoot(entry);
      else if (hasWhiteouts && name.startsWith(whiteout)) this.#takeAway(parts);
      else await this.#put(entry, parts);
    }
    for (const [dir, seconds] of this.#directoryTimes) {
      if (fs.lstatSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
      fs.utimesSync(dir, seconds, seconds);
    }
  }

  async #put(entry: TarEntry, parts: readonly string[]): Promise<void> {
    const dir = directoryIn(this.#root, parts.slice(0, -1), (missing) =>
      this.#makeImplied(missing),
    );
    const target = path.join(dir as string, parts.at(-1) as string);
    const source = entry.kind === 'hardLink' ? this.#linkSource(entry) : undefined;
    // Archives may have a name twice; one that links to itself is there already.
    if (source === target) return;
    const before = fs.lstatSync(target, { throwIfNoEntry: false });
    const keeps = entry.kind === 'directory' && before?.isDirectory() === true;
    if (before !== undefined && !keeps) fs.rmSync(target, { recursive: true, force: true });
    this.#own.add(target);
    switch (entry.kind) {
      case 'hardLink':
        fs.linkSync(source as string, target);
        return; // its owner, mode and time are those of the other name
      case 'symlink':
        fs.symlinkSync(entry.linkName, target);
        fs.lchownSync(target, entry.uid, entry.gid);
        fs.lutimesSync(target, entry.mtimeSeconds, entry.mtimeSeconds);
        return;
      case 'directory':
        if (!keeps) fs.mkdirSync(target);
        break;
      case 'file':
        await writeNew(target, entry);
        break;
      case 'fifo':
        makeNode(target, S_IFIFO | 0o600, { major: 0, minor: 0 });
        break;
      case 'char':
        makeNode(target, S_IFCHR | 0o600, entry.device);
        break;
      case 'block':
        makeNode(target, S_IFBLK | 0o600, entry.device);
        break;
    }
    this.#dress(target, entry);
  }

  #dressRoot(entry: TarEntry): void {
    if (entry.kind === 'directory') this.#dress(this.#root, entry);
  }

  #dress(target: string, { kind, uid, gid, mode, mtimeSeconds, capability }: TarEntry): void {
    // In this order: a change of the owner takes set-user-id and capabilities away.
    fs.chownSync(target, uid, gid);
    fs.chmodSync(target, mode);
    if (capability !== undefined) setAttribute(target, 'security.capability', capability);
    if (kind === 'directory') this.#directoryTimes.set(target, mtimeSeconds);
    else fs.utimesSync(target, mtimeSeconds, mtimeSeconds);
  }

  #makeImplied(dir: string): void {
    fs.mkdirSync(dir);
    fs.chmodSync(dir, 0o755);
    this.#own.add(dir);
  }

  #linkSource({ name, linkName }: TarEntry): string {
    const parts = partsOf(linkName);
    const dir = directoryIn(this.#root, parts.slice(0, -1));
    const source = path.join(dir ?? this.#root, parts.at(-1) ?? '.');
    const stat = dir === undefined ? undefined : fs.lstatSync(source, { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isDirectory()) return source;
    throw new UnderstudyError(
      'config',
      `The image has '${name}' as another name of '${linkName}', which is ${stat === undefined ? 'not there' : 'a directory'}`,
      { hint: 'make the image again: it cannot be laid out' },
    );
  }

  /** `parts` name a whiteout. */
  #takeAway(parts: readonly string[]): void {
    const name = parts.at(-1) as string;
    const hidden = name.slice(whiteout.length);
    if (['', '.', '..'].includes(hidden)) {
      throw leadsOut(parts.join('/'), `it would take '${hidden}' away`);
    }
    const dir = directoryIn(this.#root, parts.slice(0, -1));
    if (dir === undefined) return;
    if (name === opaque) {
      for (const child of fs.readdirSync(dir)) this.#removeLower(path.join(dir, child));
    } else if (!hidden.startsWith(whiteout)) this.#removeLower(path.join(dir, hidden));
    // Other names of this kind are of aufs' own.
  }

  /** Returns whether something of the present layer stays there. */
  #removeLower(target: string): boolean {
    const stat = fs.lstatSync(target, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    let stays = this.#own.has(target);
    if (!stat.isDirectory()) {
      if (!stays) fs.unlinkSync(target);
      return stays;
    }
    for (const child of fs.readdirSync(target)) {
      if (this.#removeLower(path.join(target, child))) stays = true;
    }
    if (!stays) fs.rmdirSync(target);
    return stays;
  }
}

async function writeNew(target: string, entry: TarEntry): Promise<void> {
  const fd = fs.openSync(target, 'wx', 0o600);
  try {
    for await (const piece of entry.content()) {
      for (let at = 0; at < piece.length; ) at += fs.writeSync(fd, piece, at);
    }
  } finally {
    fs.closeSync(fd);
  }
}
