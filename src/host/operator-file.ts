/**
 * Files that the operator names and that secrets depend on: read with their rights checked first.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../base/errors.ts';

export interface OperatorFile {
  /** For messages: "shared secret", "private key". */
  readonly what: string;
  readonly path: string;
  readonly maxBytes: number;
  /** Nobody but its owner may read it. */
  readonly secret: boolean;
  /** What to do when it is not there. */
  readonly hint: string;
}

/**
 * The content. Throws `config` when the file is not there, no file, too large, or a secret that
 * others may read; `rights` when this user may not read it.
 */
export function readOperatorFile({ what, path, maxBytes, secret, hint }: OperatorFile): Buffer {
  const name = `${what} '${path}'`;
  let fd: number;
  try {
    // Without O_NONBLOCK a FIFO in its place would hang the node.
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (thrown) {
    const cause = asError(thrown);
    if (['EACCES', 'EPERM'].includes((cause as NodeJS.ErrnoException).code ?? '')) {
      const right = 'give the user of the node the right to read it and to enter its directories';
      throw new UnderstudyError('rights', `Cannot read ${name}`, { cause, hint: right });
    }
    throw new UnderstudyError('config', `Cannot read ${name}`, { cause, hint });
  }
  try {
    // Of the open file, so that what is checked is what is read.
    const { mode, size } = checkedStat(fd, name);
    if (secret && (mode & 0o077) !== 0) {
      throw new UnderstudyError(
        'config',
        `Others may read or change ${name}: its mode is ${octal(mode)}, at most 0600 may be`,
        { hint: `run: chmod 600 '${path}', and make a new one if others have used this machine` },
      );
    }
    if (size > maxBytes) {
      const limit = `Cannot use ${name}: it has ${size} bytes, at most ${maxBytes} may be`;
      throw new UnderstudyError('config', limit, { hint });
    }
    const content = fs.readFileSync(fd);
    if (content.length === 0) {
      throw new UnderstudyError('config', `Cannot use ${name}: it is empty`, { hint });
    }
    return content;
  } finally {
    fs.closeSync(fd);
  }
}

function checkedStat(fd: number, name: string): fs.Stats {
  const stat = fs.fstatSync(fd);
  if (stat.isFile()) return stat;
  const hint = 'give the path of a file';
  throw new UnderstudyError('config', `Cannot read ${name}: it is not a file`, { hint });
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
