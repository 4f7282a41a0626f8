/**
 * The secret file: one line of text that both nodes of a pair have, and nobody else.
 *
 * `understudy secret` makes one of 32 random bytes. Other text is taken if it is long enough: what
 * is random cannot be measured, but what is short or repeats itself is not.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { readOperatorFile } from '../../host/operator-file.ts';
import { LinkSecret } from '../../wire/secret.ts';

const madeBytes = 32;
const bytesMin = 32;
/** Nobody types more than this; a larger file is some other file. */
const bytesMax = 4096;
/** Random text of 32 hexadecimal digits has fewer once in ten million times. */
const differentMin = 8;

/** Makes a new secret in a file of mode 0600. An existing file is never touched. */
export function createSecretFile(path: string): void {
  let fd: number;
  try {
    fd = fs.openSync(path, 'wx', 0o600);
  } catch (thrown) {
    const cause = asError(thrown);
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new UnderstudyError('config', `Cannot make secret file '${path}': it exists`, {
        hint: 'remove it first if no pair uses it, or give another path',
      });
    }
    throw new UnderstudyError('rights', `Cannot make secret file '${path}'`, {
      cause,
      hint: 'give a path in a directory that exists and that you may write to',
    });
  }
  try {
    fs.writeSync(fd, `${randomBytes(madeBytes).toString('hex')}\n`);
    fs.fsyncSync(fd);
  } catch (thrown) {
    fs.rmSync(path, { force: true });
    throw new UnderstudyError('resources', `Cannot write secret file '${path}'`, {
      cause: asError(thrown),
      hint: 'free some disk space',
    });
  } finally {
    fs.closeSync(fd);
  }
}

/** Throws `config` or `rights` with what is wrong with the file. Never shows any of it. */
export function readSecretFile(path: string): LinkSecret {
  const hint = 'make one with: understudy secret FILE, and copy it to the other node';
  const content = readOperatorFile({
    what: 'shared secret',
    path,
    maxBytes: bytesMax,
    secret: true,
    hint,
  });
  const secret = withoutLineEnd(content);
  if (secret.length < bytesMin) {
    const what = `it has ${secret.length} bytes, at least ${bytesMin} are needed`;
    throw new UnderstudyError('config', `Shared secret '${path}' is too short: ${what}`, { hint });
  }
  const different = new Set(secret).size;
  if (different < differentMin) {
    const what = `it has only ${different} different characters`;
    throw new UnderstudyError('config', `Shared secret '${path}' is not random: ${what}`, { hint });
  }
  return new LinkSecret(secret);
}

/** An editor adds a line end, or makes it another one; the secret is the same. */
function withoutLineEnd(content: Buffer): Buffer {
  let end = content.length;
  while (end > 0 && [0x0a, 0x0d].includes(content[end - 1] ?? 0)) end -= 1;
  return content.subarray(0, end);
}
