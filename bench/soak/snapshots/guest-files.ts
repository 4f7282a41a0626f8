/**
 * Reads the example guest's files from an image of its disk, without a guest: the file system's own
 * journal is played back first, as at a mount, and the file system must then be found whole.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { asError, UnderstudyError } from '../../../src/base/errors.ts';
import { copySparse } from '../../../src/hypervisor/memory/sparse-copy.ts';
import type { GuestFiles } from './outside.ts';

const run = promisify(execFile);

/** The guest's files end at 64 MiB each. */
const outputBytesMax = 80 << 20;
/** e2fsck: nothing to do, or all was put right; anything else is damage. */
const wholeCodes: readonly unknown[] = [0, 1];
// Programs of administrators are not on everyone's path.
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };

/** `scratch`: an existing directory. Throws `disk` when the file system is damaged. */
export async function readGuestFiles(image: string, scratch: string): Promise<GuestFiles> {
  const copy = path.join(scratch, 'mounted.raw');
  await copySparse(image, copy);
  await run('e2fsck', ['-f', '-p', copy], { env }).catch((thrown: unknown) => {
    const { code, stdout } = thrown as { code?: unknown; stdout?: string };
    if (wholeCodes.includes(code)) return;
    throw new UnderstudyError('disk', `The file system of '${image}' is damaged: ${stdout ?? ''}`, {
      cause: asError(thrown),
    });
  });
  const ledger = await readFile(copy, '/ledger');
  return { ledger, journal: await readFile(copy, '/counter.log') };
}

async function readFile(image: string, file: string): Promise<string> {
  const { stdout, stderr } = await run('debugfs', ['-R', `cat ${file}`, image], {
    env,
    encoding: 'latin1',
    maxBuffer: outputBytesMax,
  });
  if (!stderr.includes('File not found')) return stdout;
  throw new UnderstudyError('disk', `There is no ${file} on '${image}'`);
}
