/**
 * The full name of a machine type.
 *
 * `pc` is a name for the newest one of each release, `pc-i440fx-7.2` or `pc-i440fx-10.0`: another
 * machine in the eyes of its guest. A release has those of others before it by their full names.
 */
import { UnderstudyError } from '../../base/errors.ts';
import { askQemu } from './ask.ts';

/**
 * Asks the program what `name` is short for.
 *
 * @throws UnderstudyError `environment` when it cannot be run, `config` when it has none of that
 * name.
 */
export async function fullMachineType(program: string, name: string): Promise<string> {
  const listed = await askQemu(program, '-machine', 'help');
  // `pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)`
  const line = listed.split('\n').find((text) => text.split(' ', 1)[0] === name);
  if (line === undefined) {
    throw new UnderstudyError('config', `'${program}' has no machine '${name}'`, {
      hint: `\`${program} -machine help\` lists those that it has; pc is the newest one`,
    });
  }
  return /\(alias of (\S+)\)/.exec(line)?.[1] ?? name;
}
