/** Makes the shared secret of a pair, and says what to do with it. */
import { createSecretFile } from '../../node/pair-file/secret-file.ts';

/** Throws when the file exists or cannot be made. */
export function makeSecret(file: string): void {
  createSecretFile(file);
  process.stdout.write(
    `${file} is made. Copy it to the other node over a safe way, such as scp -p, ` +
      `and name it in the pair file:\n\n  security: { secretFile: ${file} }\n\n`,
  );
}
