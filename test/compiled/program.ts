/**
 * Programs of ours, compiled: a test starts dozens of processes, and from source each of them takes
 * three times as long to start, on processors that a guest or another test has a use for.
 */
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '../..');
export const compiledDir = path.join(root, 'build/js');

/**
 * The compiled file of a module of `src` or of a program `test/.../NAME-main.ts`, by its path from
 * the root.
 */
export function compiled(file: string): string {
  return path.join(compiledDir, path.relative(root, path.resolve(root, file)).replace(/ts$/, 'js'));
}
