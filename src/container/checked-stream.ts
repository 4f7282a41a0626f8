/** A stream whose content is known beforehand by its digest. */
import { createHash } from 'node:crypto';
import { UnderstudyError } from '../base/errors.ts';

/** `sha256:` and 64 hexadecimal digits, or the same of SHA-512. */
export const digestText = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Throws `config` at the end of what has another digest. `name` is for messages. */
export async function* checked(
  bytes: AsyncIterable<Buffer>,
  digest: string,
  name: string,
): AsyncGenerator<Buffer> {
  const hash = createHash(digest.slice(0, digest.indexOf(':')));
  for await (const piece of bytes) {
    hash.update(piece);
    yield piece;
  }
  requireDigest(`${digest.slice(0, digest.indexOf(':'))}:${hash.digest('hex')}`, digest, name);
}

/** As `checked`, of what is in memory. */
export function checkDigest(bytes: Buffer, digest: string, name: string): void {
  const algorithm = digest.slice(0, digest.indexOf(':'));
  requireDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`, digest, name);
}

function requireDigest(found: string, expected: string, name: string): void {
  if (found === expected) return;
  throw new UnderstudyError(
    'config',
    `'${name}' is damaged: its digest must be ${expected}, and is ${found}`,
    { hint: 'save or copy the image again' },
  );
}
