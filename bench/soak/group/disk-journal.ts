/** The journal of a bank's member, off an image of its disk: as the guest would read it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { asError, UnderstudyError } from '../../../src/base/errors.ts';
import { type Journal, parseJournal } from './journal.ts';

const run = promisify(execFile);
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const bytesMax = 128 << 20;

/**
 * The image is changed: what the file system's own journal has is carried out first, as a mount
 * does. Throws `environment` without debugfs, `disk` when the image cannot be read.
 */
export async function journalOnDisk(image: string): Promise<Journal> {
  await debugfs(['-w', '-R', 'journal_run', image]);
  const text = await debugfs(['-R', 'cat /bank', image]);
  // debugfs ends well without the file, too.
  if (text.length > 0) return parseJournal(text);
  throw new UnderstudyError('disk', `There is no journal on the disk in '${image}'`);
}

async function debugfs(args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run('debugfs', args, { env, maxBuffer: bytesMax });
    return stdout;
  } catch (thrown) {
    const error = asError(thrown);
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UnderstudyError(
      isMissing ? 'environment' : 'disk',
      `Cannot read the disk of a machine with 'debugfs ${args.join(' ')}'`,
      { cause: error, ...(isMissing ? { hint: 'install e2fsprogs' } : {}) },
    );
  }
}
