/**
 * The full name of a machine type.
 *
 * `pc` is a name for the newest one of each release, `pc-i440fx-7.2` or `pc-i440fx-10.0`: another
 * machine in the eyes of its guest. A release has those of others before it by their full names.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { asError, UnderstudyError } from '../../base/errors.ts';

/**
 * Asks the program what `name` is short for.
 *
 * @throws UnderstudyError `environment` when it cannot be run, `config` when it has none of that
 * name.
 */
export async function fullMachineType(program: string, name: string): Promise<string> {
  let listed: string;
  try {
    listed = (await promisify(execFile)(program, ['-machine', 'help'])).stdout;
  } catch (thrown) {
    throw new UnderstudyError('environment', `'${program}' does not list its machines`, {
      cause: asError(thrown),
      hint: 'run scripts/setup, or set qemu in the VM file',
    });
  }
  // `pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)`
  const line = listed.split('\n').find((text) => text.split(' ', 1)[0] === name);
  if (line === undefined) {
    throw new UnderstudyError('config', `'${program}' has no machine '${name}'`, {
      hint: `\`${program} -machine help\` lists those that it has; pc is the newest one`,
    });
  }
  return /\(alias of (\S+)\)/.exec(line)?.[1] ?? name;
}
