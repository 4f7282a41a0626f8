/**
 * The `file:` arbiter: terms as files in a directory that both nodes see.
 *
 * Intuition: each term is a file of its own, `term-0000000000000042`, and is never changed or
 * removed. Whoever creates it has won it. A new file is written under a temporary name, flushed,
 * and given its real name with link(2), which fails if the name exists: the compare-and-set is one
 * system call of the kernel. There is no lock, so no lock can go stale, and a process may die at
 * any instant:
 *
 *   dies before the link   nothing happened; a temporary file stays, and is swept at the next open
 *   dies after the link    the term is won, whole and readable (its content was flushed before)
 *
 * Why a winner is right about `expected`: terms have no gaps and no file ever goes away, so the
 * state equals `expected` exactly when the file of that term exists with that holder and the file
 * of the next term does not. The first part never stops being true; link(2) decides the second.
 *
 *   one line of JSON: {"understudy":"term","version":1,"term":42,"holder":"b/1f3c"}
 *
 * Durable before told: the directory is flushed before a win is reported, and before a state is
 * reported that this process had not seen yet. A term is 4 KiB of disk, and a takeover takes two:
 * one every hour makes 70 MiB a year. Reading looks only at terms after the last one known.
 *
 * link(2) is atomic on local file systems and on NFS; file systems without hard links are refused.
 */
import { randomBytes } from 'node:crypto';
import {
  type FileHandle,
  link,
  open,
  readdir,
  readFile,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { type Term, term as toTerm } from '../base/units.ts';
import { makeDirectory } from '../host/durable-files.ts';
import {
  type Arbiter,
  type ArbiterState,
  type CompareAndSetResult,
  sameState,
} from '../ports/arbiter.ts';
import { arbiterLimits } from './limits.ts';
import { checkNext, formatState, parseState } from './state.ts';

export interface FileArbiterOptions {
  /** Made if it does not exist. One pair a directory. */
  readonly directory: string;
}

/** Opens the arbiter in a directory. Rejects with `UnderstudyError` ('arbiter'). */
export async function openFileArbiter(options: FileArbiterOptions): Promise<FileArbiter> {
  const directory = path.resolve(options.directory);
  try {
    await makeDirectory(directory);
    await sweep(directory);
    return new FileArbiter(directory, await open(directory, 'r'));
  } catch (thrown) {
    throw failure(directory, 'open', thrown);
  }
}

export class FileArbiter implements Arbiter {
  readonly #directory: string;
  readonly #handle: FileHandle;
  /** The newest state seen, flushed. All older terms exist. */
  #known: ArbiterState | undefined;

  /** Use `openFileArbiter`. */
  constructor(directory: string, handle: FileHandle) {
    this.#directory = directory;
    this.#handle = handle;
  }

  async read(): Promise<ArbiterState | undefined> {
    try {
      return await this.#readNewest();
    } catch (thrown) {
      throw failure(this.#directory, 'read', thrown);
    }
  }

  async compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    checkNext(expected, next);
    try {
      if (await this.#mayWin(expected)) {
        if (await this.#create(next)) return { won: true };
      }
      return { won: false, current: await this.#readNewest() };
    } catch (thrown) {
      throw failure(this.#directory, 'change', thrown);
    }
  }

  /** Gives the directory handle back. The terms stay. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** True when the term of `expected` was really won by its holder. */
  async #mayWin(expected: ArbiterState | undefined): Promise<boolean> {
    if (expected === undefined) return true;
    if (this.#known !== undefined && sameState(this.#known, expected)) return true;
    const found = await readTerm(this.#directory, expected.term);
    return found !== undefined && sameState(found, expected);
  }

  /** The compare-and-set itself: true when the file of this term did not exist and now does. */
  async #create(next: ArbiterState): Promise<boolean> {
    const temporary = path.join(this.#directory, `${temporaryPrefix}${uniqueName()}`);
    try {
      await writeFile(temporary, formatState(next), { flag: 'wx', mode: 0o600, flush: true });
      await link(temporary, termPath(this.#directory, next.term));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
      // NFS may repeat a call whose answer was lost: then it is our own file that exists.
      if ((await stat(temporary)).nlink !== 2) return false;
    } finally {
      await unlink(temporary).catch(() => undefined); // swept at the next open
    }
    await this.#handle.sync();
    this.#remember(next);
    return true;
  }

  async #readNewest(): Promise<ArbiterState | undefined> {
    const known = this.#known;
    let newest = known;
    if (newest === undefined) newest = await readHighest(this.#directory);
    for (;;) {
      const following = toTerm((newest?.term ?? 0) + 1);
      const found = await readTerm(this.#directory, following);
      if (found === undefined) break;
      newest = found;
    }
    if (newest !== undefined && newest !== known) {
      await this.#handle.sync();
      this.#remember(newest);
    }
    return newest;
  }

  /** Two calls may run at once; what is known never goes back. */
  #remember(state: ArbiterState): void {
    if (this.#known === undefined || this.#known.term < state.term) this.#known = state;
  }
}

const termPrefix = 'term-';
const temporaryPrefix = '.new-';
/** As many as 2^53-1 has, so that names sort as numbers do. */
const termDigits = 16;

function termPath(directory: string, term: Term): string {
  return path.join(directory, termPrefix + String(term).padStart(termDigits, '0'));
}

function uniqueName(): string {
  return `${process.pid}-${randomBytes(8).toString('hex')}`;
}

async function readTerm(directory: string, term: Term): Promise<ArbiterState | undefined> {
  const file = termPath(directory, term);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
  return parseTerm(text, term, file);
}

/** The highest term in the directory, for the first read only. */
async function readHighest(directory: string): Promise<ArbiterState | undefined> {
  let highest = 0;
  for (const name of await readdir(directory)) {
    if (!name.startsWith(termPrefix)) continue;
    const digits = name.slice(termPrefix.length);
    if (digits.length === termDigits && /^\d+$/.test(digits)) {
      highest = Math.max(highest, Number(digits));
    }
  }
  return highest === 0 ? undefined : await readTerm(directory, toTerm(highest));
}

function parseTerm(text: string, term: Term, file: string): ArbiterState {
  const found = parseState(text);
  if (found?.term === term) return found;
  throw new UnderstudyError(
    'arbiter',
    `Cannot read term ${term} from '${file}': expected one line of JSON with version 1, ` +
      `term ${term} and a holder, found ${JSON.stringify(text.slice(0, 100))}`,
    { hint: 'Stop both nodes, and move the directory away to start again from term 1.' },
  );
}

/**
 * Removes temporary files that a process left when it died. A living one is done within a minute.
 */
async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(temporaryPrefix)) continue;
    const file = path.join(directory, name);
    try {
      const { mtimeMs } = await stat(file);
      if (Date.now() - mtimeMs > arbiterLimits.temporaryFileMs) await unlink(file);
    } catch {
      // Another process swept it. If it was alive after all, its link fails and it asks again.
    }
  }
}

function failure(directory: string, verb: string, thrown: unknown): UnderstudyError {
  if (thrown instanceof UnderstudyError) return thrown;
  const cause = asError(thrown);
  return new UnderstudyError('arbiter', `Cannot ${verb} the arbiter in '${directory}'`, {
    cause,
    hint: hintFor((cause as NodeJS.ErrnoException).code),
  });
}

const noLinks = 'Put the directory on a file system that has hard links, such as ext4, xfs or NFS.';
const noRight = 'Give the user of both nodes the right to write to the directory.';

const hints: Readonly<Record<string, string>> = {
  EACCES: noRight,
  EROFS: noRight,
  EPERM: noLinks,
  ENOTSUP: noLinks,
  EMLINK: noLinks,
  ENOSPC: 'Free some disk space.',
  EDQUOT: 'Free some disk space.',
};

function hintFor(code: string | undefined): string {
  return hints[code ?? ''] ?? 'Check that the directory exists and its file system is well.';
}
