/**
 * Whether systemd-logind removes what a user has in /dev/shm when that user logs out (`RemoveIPC`,
 * logind.conf(5)): a run directory there would go under a node that runs.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export interface RemoveIpcOptions {
  readonly dir: string;
  readonly uid: number;
  readonly user: string;
  /** Where the system's files are. @default '/' */
  readonly root?: string;
}

/** Who is no system user has at least this number (`SYS_UID_MAX`). */
const firstUserUid = 1000;

/** Of this process. */
export function removesOurIpc(dir: string): boolean {
  const { uid, username: user } = os.userInfo();
  return removesIpc({ dir, uid, user });
}

export function removesIpc({ dir, uid, user, root = '/' }: RemoveIpcOptions): boolean {
  const isShared = path.resolve(dir) === '/dev/shm' || path.resolve(dir).startsWith('/dev/shm/');
  if (!isShared || uid < firstUserUid) return false;
  if (!fs.existsSync(path.join(root, 'run/systemd/seats'))) return false; // no logind runs
  if (fs.existsSync(path.join(root, 'var/lib/systemd/linger', user))) return false;
  return configured(root) !== 'no';
}

/** The last word counts: files of the drop-in directories come behind the main file, by name. */
function configured(root: string): 'yes' | 'no' {
  const dirs = ['usr/lib/systemd', 'run/systemd', 'etc/systemd'].map((dir) => path.join(root, dir));
  const dropIns = dirs.flatMap((dir) => filesIn(path.join(dir, 'logind.conf.d')));
  dropIns.sort((a, b) => (path.basename(a) < path.basename(b) ? -1 : 1));
  let value: 'yes' | 'no' = 'yes';
  for (const file of [...dirs.map((dir) => path.join(dir, 'logind.conf')), ...dropIns]) {
    for (const [, word = ''] of readText(file).matchAll(/^\s*RemoveIPC\s*=\s*(\S+)/gm)) {
      value = ['no', 'false', 'off', '0'].includes(word.toLowerCase()) ? 'no' : 'yes';
    }
  }
  return value;
}

function filesIn(dir: string): string[] {
  try {
    const names = fs.readdirSync(dir).filter((name) => name.endsWith('.conf'));
    return names.map((name) => path.join(dir, name));
  } catch {
    return [];
  }
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
