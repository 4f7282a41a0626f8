/**
 * Looks whether a node's run directory is still there, and makes it anew when somebody has removed
 * it or moved it away: systemd does so for users that log out (`RemoveIPC`), and people do.
 *
 * What runs goes on meanwhile: sockets and files are open. But a takeover, a cut and a seed open
 * files there by their names. So the directories are made again, and what is still open of the
 * files is put back at its place, as a link to where the kernel has it for the process that holds
 * it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../base/errors.ts';
import { directoriesNamedTo, openFilesBelow } from '../host/open-paths.ts';
import type { Concerns } from './concerns.ts';
import { type RunDir, takeRunDir } from './run-dir.ts';

export interface RunDirWatchOptions {
  readonly runDir: RunDir;
  /** Living processes of this node. */
  readonly pids: () => readonly number[];
  readonly concerns: Pick<Concerns, 'tell'>;
  /** It is there again: sockets in it are to be made anew. */
  readonly onMadeAnew: () => Promise<void>;
}

export class RunDirWatch {
  readonly #options: RunDirWatchOptions;
  /** Open, so that nobody else gets its inode. */
  #fd: number;
  #isMending = false;
  /** It is not there, and could not be made anew. */
  #isLost = false;

  constructor(options: RunDirWatchOptions) {
    this.#options = options;
    this.#fd = fs.openSync(options.runDir.path, 'r');
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  /** To be called every second. */
  async look(): Promise<void> {
    const { runDir, concerns, onMadeAnew } = this.#options;
    if (this.#isMending) return;
    if (this.#isThere()) {
      if (this.#isLost) concerns.tell(about, undefined);
      this.#isLost = false;
      return;
    }
    this.#isMending = true;
    const lost = `run directory '${runDir.path}' was removed or moved away by somebody else`;
    try {
      const before = this.#whereNow();
      takeRunDir(runDir.path);
      for (const pid of this.#options.pids()) this.#putBack(pid, before);
      await onMadeAnew();
      fs.closeSync(this.#fd);
      this.#fd = fs.openSync(runDir.path, 'r');
      const hint = 'for systemd set RemoveIPC=no in logind.conf, or let a system user run the node';
      this.#isLost = false;
      concerns.tell(about, `${lost}; it was made anew. ${hint}`);
      setTimeout(() => {
        if (!this.#isLost) concerns.tell(about, undefined);
      }, toldMs).unref();
    } catch (thrown) {
      this.#isLost = true;
      const why = reasonOf(thrown);
      concerns.tell(about, `${lost}, and cannot be made anew: no takeover works. ${why}`);
    } finally {
      this.#isMending = false;
    }
  }

  #isThere(): boolean {
    const held = fs.fstatSync(this.#fd);
    const found = fs.statSync(this.#options.runDir.path, { throwIfNoEntry: false });
    return found?.ino === held.ino && found.dev === held.dev;
  }

  /** Where the directory that is held is now, as far as it is anywhere. */
  #whereNow(): string {
    return fs.readlinkSync(`/proc/self/fd/${this.#fd}`).replace(/ \(deleted\)$/, '');
  }

  #putBack(pid: number, before: string): void {
    const { path: dir } = this.#options.runDir;
    for (const name of directoriesNamedTo(pid, dir)) fs.mkdirSync(name, madePrivate);
    for (const file of openFilesBelow(pid, [dir, before])) {
      const place = file.path.startsWith(`${dir}/`)
        ? file.path
        : path.join(dir, path.relative(before, file.path));
      fs.mkdirSync(path.dirname(place), madePrivate);
      if (!fs.existsSync(place)) fs.symlinkSync(file.link, place);
    }
  }
}

const about = 'run directory';
const madePrivate = { recursive: true, mode: 0o700 } as const;

/** How long people may see what happened: it was mended at once. */
const toldMs = 60_000;
