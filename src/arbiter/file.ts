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
 * The file `identity` (identity.ts) is made in the same way. Only `setUp` makes the directory: one
 * that is empty, or not there, is a share that is not mounted as likely as a pair that is new. A
 * path may come to name another directory at any time, so each operation looks at it: one that is
 * not the one before is read anew, and refused when it holds less than this process has seen.
 *
 * Durable before told: the directory is flushed before a win is reported, and before a state is
 * reported that this process had not seen yet. A term is 4 KiB of disk, and a takeover takes two:
 * one every hour makes 70 MiB a year. Reading looks only at terms after the last one known.
 *
 * link(2) is atomic on local file systems and on NFS; file systems without hard links are refused.
 */
import { randomBytes } from 'node:crypto';
import {
  constants,
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
  type ArbiterSetUp,
  type ArbiterSight,
  type ArbiterState,
  type ArbiterWithIdentity,
  type CompareAndSetResult,
  sameState,
} from '../ports/arbiter.ts';
import { formatIdentity, NeverSetUp, newIdentity, parseIdentity } from './identity.ts';
import { arbiterLimits } from './limits.ts';
import { checkNext, formatState, parseState } from './state.ts';

export interface FileArbiterOptions {
  /** One pair a directory. */
  readonly directory: string;
}

/** The directory that the path named when it was last looked at. */
interface Entered {
  readonly dev: number;
  readonly ino: number;
  /** Keeps the number of the inode from being given to another one. */
  readonly handle: FileHandle;
}

/** Nothing is opened before it is asked. Rejects with `UnderstudyError` ('arbiter'). */
export class FileArbiter implements ArbiterWithIdentity {
  readonly #directory: string;
  #entering: Promise<Entered> | undefined;
  /** The newest state seen in the directory that was entered, flushed. All older terms exist. */
  #known: ArbiterState | undefined;
  /** The last one that was told, in whichever directory. */
  #told: ArbiterSight | undefined;

  constructor({ directory }: FileArbiterOptions) {
    this.#directory = path.resolve(directory);
  }

  async read(): Promise<ArbiterState | undefined> {
    return (await this.look()).state;
  }

  look(): Promise<ArbiterSight> {
    return this.#trying('read', async () => {
      const told = this.#told;
      const entered = await this.#enter();
      const identity = await this.#readIdentity();
      const state = await this.#readNewest(entered);
      this.#refuseSetBack(told, { identity, state });
      return { identity, state };
    });
  }

  setUp(): Promise<ArbiterSetUp> {
    return this.#trying('set up', async () => {
      await makeDirectory(this.#directory);
      const { handle } = await this.#enter();
      const proposed = newIdentity();
      const isNew = await this.#publish(identityName, formatIdentity(proposed));
      const identity = isNew ? proposed : await this.#readIdentity();
      if (identity === undefined) throw new NeverSetUp(this.#name);
      await handle.sync();
      return { identity, isNew };
    });
  }

  compareAndSet(
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    return this.#trying('change', async () => {
      checkNext(expected, next);
      const entered = await this.#enter();
      if ((await this.#readIdentity()) === undefined) throw new NeverSetUp(this.#name);
      if (await this.#mayWin(expected)) {
        if (await this.#create(next, entered)) return { won: true };
      }
      return { won: false, current: await this.#readNewest(entered) };
    });
  }

  /** Gives the directory handle back. The terms stay. */
  async close(): Promise<void> {
    const entered = await this.#entering?.catch(() => undefined);
    this.#entering = undefined;
    await entered?.handle.close();
  }

  get #name(): string {
    return `The arbiter in '${this.#directory}'`;
  }

  async #trying<Answer>(verb: string, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (thrown) {
      throw failure(this.#directory, verb, thrown);
    }
  }

  /** The directory that the path names now. */
  async #enter(): Promise<Entered> {
    const before = this.#entering;
    const { dev, ino } = await stat(this.#directory);
    const entered = await before?.catch(() => undefined);
    if (entered?.dev === dev && entered.ino === ino) return entered;
    // Two at once both find that it is another one: the first of them enters it.
    if (this.#entering === before) {
      this.#known = undefined;
      this.#entering = enter(this.#directory);
      await entered?.handle.close();
    }
    return await (this.#entering as Promise<Entered>);
  }

  async #readIdentity(): Promise<string | undefined> {
    const file = path.join(this.#directory, identityName);
    const text = await readIfThere(file);
    if (text === undefined) return undefined;
    const identity = parseIdentity(text);
    if (identity !== undefined) return identity;
    throw new UnderstudyError(
      'arbiter',
      `Cannot read the identity of the arbiter from '${file}': expected one line of JSON with ` +
        `version 1, found ${JSON.stringify(text.slice(0, 100))}`,
      { hint: 'Look who wrote there, and check the disk.' },
    );
  }

  /**
   * Throws for an older copy of a directory. `told`: what was told before this look began; two that
   * overlap may see a term each, and the older one be done last.
   */
  #refuseSetBack(told: ArbiterSight | undefined, seen: ArbiterSight): void {
    const isOlder = (sight: ArbiterSight | undefined): boolean =>
      sight?.identity === seen.identity && termOf(seen) < termOf(sight);
    if (!isOlder(told)) {
      if (!isOlder(this.#told)) this.#told = seen;
      return;
    }
    const [before, now] = [termOf(told), termOf(seen)];
    throw new UnderstudyError(
      'arbiter',
      `${this.#name} was set back: it holds term ${now}, and has held ${before}`,
      { hint: 'Put the directory back that was there; an older copy gives terms a second time.' },
    );
  }

  /** True when the term of `expected` was really won by its holder. */
  async #mayWin(expected: ArbiterState | undefined): Promise<boolean> {
    if (expected === undefined) return true;
    if (this.#known !== undefined && sameState(this.#known, expected)) return true;
    const found = await readTerm(this.#directory, expected.term);
    return found !== undefined && sameState(found, expected);
  }

  /** The compare-and-set itself: true when the file of this term did not exist and now does. */
  async #create(next: ArbiterState, entered: Entered): Promise<boolean> {
    if (!(await this.#publish(termName(next.term), formatState(next)))) return false;
    await entered.handle.sync();
    if ((await this.#enter()) !== entered) {
      throw new Error('another directory took its place meanwhile');
    }
    this.#remember(next);
    return true;
  }

  /** Makes a file with this content, whole and flushed; false when the name exists. */
  async #publish(name: string, content: string): Promise<boolean> {
    const temporary = path.join(this.#directory, `${temporaryPrefix}${uniqueName()}`);
    try {
      await writeFile(temporary, content, { flag: 'wx', mode: 0o600, flush: true });
      await link(temporary, path.join(this.#directory, name));
      return true;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
      // NFS may repeat a call whose answer was lost: then it is our own file that exists.
      return (await stat(temporary)).nlink === 2;
    } finally {
      await unlink(temporary).catch(() => undefined); // swept at the next open
    }
  }

  async #readNewest(entered: Entered): Promise<ArbiterState | undefined> {
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
      await entered.handle.sync();
      this.#remember(newest);
    }
    return newest;
  }

  /** Two calls may run at once; what is known never goes back. */
  #remember(state: ArbiterState): void {
    if (this.#known === undefined || this.#known.term < state.term) this.#known = state;
  }
}

const termOf = (sight: ArbiterSight | undefined): number => sight?.state?.term ?? 0;

const identityName = 'identity';
const termPrefix = 'term-';
const temporaryPrefix = '.new-';
/** As many as 2^53-1 has, so that names sort as numbers do. */
const termDigits = 16;

function termName(term: Term): string {
  return termPrefix + String(term).padStart(termDigits, '0');
}

function uniqueName(): string {
  return `${process.pid}-${randomBytes(8).toString('hex')}`;
}

async function enter(directory: string): Promise<Entered> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await sweep(directory);
    const { dev, ino } = await handle.stat();
    return { dev, ino, handle };
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

async function readTerm(directory: string, term: Term): Promise<ArbiterState | undefined> {
  const file = path.join(directory, termName(term));
  const text = await readIfThere(file);
  return text === undefined ? undefined : parseTerm(text, term, file);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
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
    { hint: 'Stop both nodes, and go on as when an arbiter is lost: docs/arbiters.md.' },
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
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (gone.has(code)) {
    return new UnderstudyError('arbiter', `The arbiter's directory '${directory}' is not there`, {
      cause,
      hint:
        'Check that it is mounted, and that the path is right. ' +
        'A new pair is set up by `understudy init`.',
      mayPass: true,
    });
  }
  return new UnderstudyError('arbiter', `Cannot ${verb} the arbiter in '${directory}'`, {
    cause,
    hint: hints[code] ?? 'Check that the directory is one, and its file system is well.',
  });
}

/** Not mounted, moved away, or a handle of a server that has another one there now. */
const gone = new Set(['ENOENT', 'ESTALE']);

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
