/** What a system call refused, as an error that says what to do. */
import { asError, UnderstudyError } from '../base/errors.ts';

const freeSpace = 'Remove snapshots (`understudy snapshot rm`), or give the store a larger disk.';
const giveRight =
  'Give this user the right to write to the directory, or open it for reading only.';

const known: Readonly<Record<string, readonly ['resources' | 'rights', string]>> = {
  ENOSPC: ['resources', freeSpace],
  EDQUOT: ['resources', freeSpace],
  EMFILE: ['resources', 'Raise the limit of open files (`ulimit -n`).'],
  EACCES: ['rights', giveRight],
  EPERM: ['rights', giveRight],
  EROFS: ['rights', giveRight],
};

/**
 * `what` is a sentence's beginning: "Cannot write snapshot 'x'". Our own errors pass as they are.
 */
export function failure(what: string, thrown: unknown): UnderstudyError {
  if (thrown instanceof UnderstudyError) return thrown;
  const cause = asError(thrown);
  const [code, hint] = known[(cause as NodeJS.ErrnoException).code ?? ''] ?? [
    'store',
    'Check that the directory exists and its file system is well.',
  ];
  return new UnderstudyError(code, what, { cause, hint });
}

export function isMissing(thrown: unknown): boolean {
  return (thrown as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** Something in the store is not as it was written. `what` names it. */
export function damaged(what: string, cause?: unknown): UnderstudyError {
  return new UnderstudyError('store', what, {
    hint: 'Run `understudy snapshot verify`: it names every snapshot that is touched.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** True for what `damaged` made, and for a disk that cannot read what is on it. */
export function isDamage(thrown: unknown): thrown is Error {
  if (thrown instanceof UnderstudyError) return thrown.code === 'store';
  return (thrown as NodeJS.ErrnoException | undefined)?.code === 'EIO';
}
