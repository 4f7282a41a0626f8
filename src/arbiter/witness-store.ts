/**
 * The terms of a witness: for each pair a directory of its own, which a `file:` arbiter keeps.
 *
 *   STATE/web/term-0000000000000001
 *   STATE/web/term-0000000000000002
 *   STATE/mail/term-0000000000000001
 *
 * So what is true of that arbiter is true of the witness: the kernel's link(2) is the
 * compare-and-set, a win is on the disk before anyone is told, the process may be killed at any
 * instant, and even two witnesses on one directory would not make two winners.
 */
import { access, constants, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { makeDirectory } from '../host/durable-files.ts';
import type { ArbiterState, CompareAndSetResult } from '../ports/arbiter.ts';
import { type FileArbiter, openFileArbiter } from './file.ts';
import { arbiterLimits } from './limits.ts';
import { pairName } from './state.ts';

export class WitnessStore {
  readonly #directory: string;
  readonly #pairs = new Map<string, Promise<FileArbiter>>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Opens the directory, made if it does not exist, and reads every pair's newest term. Rejects
   * with `UnderstudyError` ('rights', 'resources', 'arbiter'): damaged terms are found now, not at
   * a claim.
   */
  static async open(directory: string): Promise<WitnessStore> {
    await prepare(directory);
    const store = new WitnessStore(directory);
    try {
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (!entry.isDirectory() || !pairName.test(entry.name)) continue;
        const arbiter = await store.#open(entry.name);
        await arbiter.read();
      }
    } catch (thrown) {
      await store.close();
      throw thrown;
    }
    return store;
  }

  get pairs(): number {
    return this.#pairs.size;
  }

  /** Asking for a pair does not make it. */
  async read(pair: string): Promise<ArbiterState | undefined> {
    const arbiter = await this.#pairs.get(pair);
    return await arbiter?.read();
  }

  async compareAndSet(
    pair: string,
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    const known = this.#pairs.get(pair);
    if (known === undefined && expected !== undefined) return { won: false, current: undefined };
    if (known === undefined && this.#pairs.size >= arbiterLimits.witnessPairs) {
      throw new UnderstudyError(
        'resources',
        `Cannot take pair '${pair}' as this witness keeps at most ${arbiterLimits.witnessPairs}`,
        { hint: 'Start another witness, or remove the directories of pairs that are no more.' },
      );
    }
    const arbiter = await (known ?? this.#open(pair));
    return await arbiter.compareAndSet(expected, next);
  }

  async close(): Promise<void> {
    for (const opening of this.#pairs.values()) {
      await opening.then((arbiter) => arbiter.close()).catch(() => undefined);
    }
  }

  /** Entered before it is opened, so that two claims at once share it. */
  #open(pair: string): Promise<FileArbiter> {
    const opening = openFileArbiter({ directory: path.join(this.#directory, pair) });
    this.#pairs.set(pair, opening);
    opening.catch(() => this.#pairs.delete(pair));
    return opening;
  }
}

/** Finds out now what would otherwise fail the first claim. */
async function prepare(directory: string): Promise<void> {
  const probe = path.join(directory, '.probe');
  try {
    await makeDirectory(directory);
    await refuseIfShared(directory);
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    await writeFile(probe, 'a claim needs this much\n', { mode: 0o600, flush: true });
    await rm(probe);
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) throw thrown;
    throw cannotUse(directory, asError(thrown));
  }
}

async function refuseIfShared(directory: string): Promise<void> {
  const { mode } = await stat(directory);
  if ((mode & 0o077) === 0) return;
  throw new UnderstudyError(
    'rights',
    `Cannot keep terms in '${directory}' as other users may enter it: ` +
      `its mode is 0${(mode & 0o777).toString(8)}`,
    { hint: `chmod 700 '${directory}'` },
  );
}

function cannotUse(directory: string, cause: NodeJS.ErrnoException): UnderstudyError {
  const message = `Cannot keep terms in '${directory}'`;
  switch (cause.code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS': {
      const hint = 'Name a directory that the user of the witness may write to.';
      return new UnderstudyError('rights', message, { cause, hint });
    }
    case 'ENOSPC':
    case 'EDQUOT': {
      const hint = 'Free some disk space: a term takes 4 KiB.';
      return new UnderstudyError('resources', message, { cause, hint });
    }
    default:
      return new UnderstudyError('arbiter', message, { cause, hint: 'Name another directory.' });
  }
}
