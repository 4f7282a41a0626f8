/**
 * The terms of a witness: for each pair a directory of its own, which a `file:` arbiter keeps.
 *
 *   STATE/web/identity
 *   STATE/web/term-0000000000000001
 *   STATE/web/term-0000000000000002
 *   STATE/mail/identity
 *
 * So what is true of that arbiter is true of the witness: the kernel's link(2) is the
 * compare-and-set, a win is on the disk before anyone is told, the process may be killed at any
 * instant, and even two witnesses on one directory would not make two winners.
 */
import { access, constants, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { makeDirectory } from '../host/durable-files.ts';
import type {
  ArbiterSetUp,
  ArbiterSight,
  ArbiterState,
  CompareAndSetResult,
} from '../ports/arbiter.ts';
import { FileArbiter } from './file.ts';
import { NeverSetUp } from './identity.ts';
import { arbiterLimits } from './limits.ts';
import { pairName } from './state.ts';

export class WitnessStore {
  readonly #directory: string;
  readonly #pairs = new Map<string, FileArbiter>();

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
        const arbiter = store.#arbiterOf(entry.name);
        store.#pairs.set(entry.name, arbiter);
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
  async look(pair: string): Promise<ArbiterSight> {
    const arbiter = this.#pairs.get(pair);
    return arbiter === undefined ? { identity: undefined, state: undefined } : await arbiter.look();
  }

  async setUp(pair: string): Promise<ArbiterSetUp> {
    const known = this.#pairs.get(pair);
    if (known !== undefined) return await known.setUp();
    if (this.#pairs.size >= arbiterLimits.witnessPairs) {
      throw new UnderstudyError(
        'resources',
        `Cannot take pair '${pair}' as this witness keeps at most ${arbiterLimits.witnessPairs}`,
        { hint: 'Start another witness, or remove the directories of pairs that are no more.' },
      );
    }
    const arbiter = this.#arbiterOf(pair);
    this.#pairs.set(pair, arbiter);
    try {
      return await arbiter.setUp();
    } catch (thrown) {
      this.#pairs.delete(pair);
      await arbiter.close();
      throw thrown;
    }
  }

  /** Rejects with `NeverSetUp` for a pair without an identity. */
  async compareAndSet(
    pair: string,
    expected: ArbiterState | undefined,
    next: ArbiterState,
  ): Promise<CompareAndSetResult> {
    const arbiter = this.#pairs.get(pair);
    if (arbiter === undefined) throw new NeverSetUp(`The pair '${pair}'`);
    return await arbiter.compareAndSet(expected, next);
  }

  async close(): Promise<void> {
    for (const arbiter of this.#pairs.values()) await arbiter.close().catch(() => undefined);
  }

  #arbiterOf(pair: string): FileArbiter {
    return new FileArbiter({ directory: path.join(this.#directory, pair) });
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
