/**
 * The directory of pair files, watched.
 *
 * Contract
 *  1. A file is told when it was the same for `settleMs`, and again when what it says is another.
 *  2. One that was taken away is told when it was away for `goneMs`, and only by a directory that
 *     can be read and is the one that it was: a file system that is not mounted removes nothing.
 *  3. The kernel's word of a change only makes the next look come sooner.
 */
import fs from 'node:fs';
import path from 'node:path';
import { reasonOf, UnderstudyError } from '../base/errors.ts';
import { fileIdentity } from '../host/file-identity.ts';
import type { FileReading } from './decisions/effects.ts';
import { controllerLimits } from './limits.ts';
import { type PairFileRead, type ReadPairFileOptions, readPairFile } from './read-pair-file.ts';

export interface PairDirectoryOptions extends ReadPairFileOptions {
  readonly dir: string;
  /** Names of files that were there before: one that is not there any more is told. */
  readonly known: readonly string[];
  readonly onSeen: (file: string, reading: FileReading) => void;
  readonly onGone: (file: string) => void;
  /** What is wrong with the directory, or `undefined`: nothing, any more. */
  readonly onTrouble: (problem: string | undefined) => void;
}

interface Entry {
  /** Changes when the file does. */
  readonly stamp: string;
  /** Of the stamp; or, of a file that is away, since it is. */
  readonly sinceMs: number;
  read?: PairFileRead;
}

export class PairDirectory {
  readonly #options: PairDirectoryOptions;
  readonly #identity: string;
  readonly #entries = new Map<string, Entry>();
  readonly #told = new Map<string, string>();
  readonly #slow: NodeJS.Timeout;
  #watcher: fs.FSWatcher | undefined;
  #soon: NodeJS.Timeout | undefined;
  #isLooking = false;
  /** Something changed during a look. */
  #isAgain = false;
  #isClosed = false;

  /** Throws `config` when there is no such directory, or it may not be read. */
  constructor(options: PairDirectoryOptions) {
    this.#options = options;
    requireDirectory(options.dir);
    this.#identity = fileIdentity(options.dir);
    const sinceMs = performance.now();
    for (const file of options.known) this.#entries.set(file, { stamp: away, sinceMs });
    this.#slow = setInterval(() => this.#lookIn(0), controllerLimits.lookMs);
    this.#lookIn(0);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#slow);
    clearTimeout(this.#soon);
    this.#watcher?.close();
  }

  #lookIn(ms: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.#look(), ms);
  }

  async #look(): Promise<void> {
    this.#isAgain = this.#isLooking;
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      this.#watch();
      const stamps = this.#stamps();
      this.#options.onTrouble(undefined);
      const looks = [...stamps].map(([file, stamp]) => this.#lookAt(file, stamp));
      const waits = await Promise.all(looks);
      for (const file of [...this.#entries.keys()]) {
        if (!stamps.has(file)) waits.push(this.#miss(file));
      }
      const nextMs = Math.min(...waits.flatMap((ms) => ms ?? []));
      if (Number.isFinite(nextMs)) this.#lookIn(nextMs);
    } catch (thrown) {
      this.#options.onTrouble(
        `${reasonOf(thrown)}: its nodes go on, and no change is seen until it can be read again`,
      );
    } finally {
      this.#isLooking = false;
      if (this.#isAgain) this.#lookIn(controllerLimits.lookSoonMs);
    }
  }

  /** Of each pair file that is there. Throws when the directory does not say. */
  #stamps(): Map<string, string> {
    const { dir } = this.#options;
    const names = fs.readdirSync(dir).filter((name) => /^[^.].*\.ya?ml$/.test(name));
    if (fileIdentity(dir) !== this.#identity) {
      throw new Error(
        `'${dir}' is another directory than it was: mount it again, or start the host again`,
      );
    }
    return new Map(
      names.flatMap((name): [string, string][] => {
        const options = { bigint: true, throwIfNoEntry: false } as const;
        const stat = fs.statSync(path.join(dir, name), options);
        if (stat?.isFile() !== true) return [];
        return [[name, `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`]];
      }),
    );
  }

  /** Returns when it is to be looked at again, in milliseconds; `undefined`: as all are. */
  async #lookAt(file: string, stamp: string): Promise<number | undefined> {
    let entry = this.#entries.get(file);
    if (entry?.stamp !== stamp) {
      entry = { stamp, sinceMs: performance.now() };
      this.#entries.set(file, entry);
    }
    if (entry.read?.isFinal === true) return undefined;
    const leftMs = controllerLimits.settleMs - (performance.now() - entry.sinceMs);
    if (leftMs > 0) return leftMs;
    const { dir, names, onSeen } = this.#options;
    entry.read = await readPairFile(path.join(dir, file), { names });
    const { reading } = entry.read;
    const text = JSON.stringify(reading);
    if (this.#isClosed || this.#told.get(file) === text) return undefined;
    this.#told.set(file, text);
    onSeen(file, reading);
    return undefined;
  }

  /** The same of one that is not there. */
  #miss(file: string): number | undefined {
    const entry = this.#entries.get(file);
    if (entry?.stamp !== away) {
      this.#entries.set(file, { stamp: away, sinceMs: performance.now() });
      return controllerLimits.goneMs;
    }
    const leftMs = controllerLimits.goneMs - (performance.now() - entry.sinceMs);
    if (leftMs > 0) return leftMs;
    this.#entries.delete(file);
    this.#told.delete(file);
    this.#options.onGone(file);
    return undefined;
  }

  #watch(): void {
    if (this.#watcher !== undefined) return;
    try {
      const soon = (): void => this.#lookIn(controllerLimits.lookSoonMs);
      this.#watcher = fs.watch(this.#options.dir, soon);
      this.#watcher.on('error', () => {
        this.#watcher?.close();
        this.#watcher = undefined;
      });
    } catch {
      // There is the slow look.
    }
  }
}

/** Of a file that is not there. */
const away = 'away';

/** Throws `config` when there is no such directory, or it may not be read. */
export function requireDirectory(dir: string): void {
  try {
    fs.readdirSync(dir);
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read the directory of pair files '${dir}'`, {
      cause: thrown,
      hint: 'give the directory that has the pair files of this host with --dir',
    });
  }
}
