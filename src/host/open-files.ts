/** Which processes of this host have a file open, as far as this user may see it. */
import fs from 'node:fs';
import { fileIdentity } from './file-identity.ts';

export interface FileUser {
  readonly pid: number;
  readonly name: string;
}

/** Looks at every process: for an error message, not for every day. */
export function processesWith(file: string): FileUser[] {
  const identity = fileIdentity(file);
  return fs
    .readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && hasOpen(entry, identity))
    .map((pid) => ({ pid: Number(pid), name: nameOf(pid) }));
}

function hasOpen(pid: string, identity: string): boolean {
  try {
    const directory = `/proc/${pid}/fd`;
    return fs.readdirSync(directory).some((fd) => fileIdentity(`${directory}/${fd}`) === identity);
  } catch {
    return false; // gone, or somebody else's
  }
}

function nameOf(pid: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'a process';
  }
}
