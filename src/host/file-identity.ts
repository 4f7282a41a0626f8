/** Whether two paths are one file, whatever they are called: other spellings, links, mounts. */
import fs from 'node:fs';
import path from 'node:path';

/**
 * Equal for two paths of one file on this host: device and inode. Of a file that is not there yet:
 * where it would be made.
 */
export function fileIdentity(file: string): string {
  const stat = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
  if (stat !== undefined) return `${stat.dev}:${stat.ino}`;
  const directory = path.dirname(path.resolve(file));
  try {
    return path.join(fs.realpathSync(directory), path.basename(file));
  } catch {
    return path.resolve(file); // no directory either
  }
}
