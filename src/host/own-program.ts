/** How a program of our own is started: compiled or, in development, from source through tsx. */
import { fileURLToPath } from 'node:url';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/**
 * What Node is given to run it. `file` is its path from the module `from`, a file URL, without its
 * extension.
 */
export function ownProgram(from: string, file: string): readonly string[] {
  const program = fileURLToPath(new URL(`${file}.${extension}`, from));
  return extension === 'ts' ? ['--import', import.meta.resolve('tsx'), program] : [program];
}
