/**
 * Paths that living processes still have open although they are gone from the file system: a
 * directory was removed, or moved away, under them.
 */
import fs from 'node:fs';
import path from 'node:path';

export interface OpenFile {
  /** Where it was. */
  readonly path: string;
  /** Where whoever may look at that process opens it, for as long as the process lives. */
  readonly link: string;
}

const gone = ' (deleted)';

/** Regular files that a process has open and that are, or were, below one of these directories. */
export function openFilesBelow(pid: number, dirs: readonly string[]): OpenFile[] {
  const fdDir = `/proc/${pid}/fd`;
  const files: OpenFile[] = [];
  for (const fd of namesIn(fdDir)) {
    const link = `${fdDir}/${fd}`;
    try {
      const told = fs.readlinkSync(link);
      const target = told.endsWith(gone) ? told.slice(0, -gone.length) : told;
      if (isBelow(target, dirs) && fs.statSync(link).isFile()) files.push({ path: target, link });
    } catch {
      // It was closed meanwhile.
    }
  }
  return files;
}

/** Directories below `dir` that a process was told of by its arguments. */
export function directoriesNamedTo(pid: number, dir: string): string[] {
  try {
    const said = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    const found = [...said.matchAll(/\/[^,:\0]+/g)].map(([name]) => path.dirname(name));
    return [...new Set(found.filter((name) => isBelow(name, [dir])))];
  } catch {
    return []; // it has ended
  }
}

const isBelow = (name: string, dirs: readonly string[]): boolean =>
  dirs.some((dir) => name.startsWith(`${dir}/`));

function namesIn(dir: string): string[] {
  try {
    return fs.readdirSync(dir);
  } catch {
    return [];
  }
}
