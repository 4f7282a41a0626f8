/**
 * The machine's firmware (SeaBIOS), as a file.
 *
 * It is given to QEMU as a flash chip, which reads it when it is made. As a plain ROM it would be
 * copied into place at the machine's first reset, and a QEMU that waits for a state skips that: it
 * expects ROMs to come with the RAM (`rom_reset`, hw/core/loader.c), which is not how our states
 * travel. The first reboot of a loaded machine would then execute zeros.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import { askQemu } from './ask.ts';

/** What machine `pc` has by default (`bios-256k.bin`, hw/i386/pc_piix.c). */
const firmwareName = 'bios-256k.bin';

/** The firmware that this QEMU would use itself. Throws `environment` when it has none. */
export async function findFirmware(program: string): Promise<string> {
  const listed = await askQemu(program, '-L', 'help');
  const dirs = listed.split('\n').filter((line) => line !== '');
  const found = dirs.map((dir) => path.resolve(dir, firmwareName)).find((at) => fs.existsSync(at));
  if (found !== undefined) return found;
  throw new UnderstudyError('environment', `QEMU's firmware '${firmwareName}' is not there`, {
    cause: new Error(`looked in ${dirs.join(', ')}`),
    hint: 'install the package seabios',
  });
}
