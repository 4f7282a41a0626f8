/** Asks a QEMU about itself: what it prints for a few arguments, without a machine. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { asError, UnderstudyError } from '../../base/errors.ts';

/** What it prints on its stdout. Throws `environment` when it cannot be run. */
export async function askQemu(program: string, ...args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)(program, args)).stdout;
  } catch (thrown) {
    throw new UnderstudyError('environment', `Cannot run '${program}'`, {
      cause: asError(thrown),
      hint: 'run scripts/setup, or set qemu in the VM file',
    });
  }
}
