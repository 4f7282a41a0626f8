/**
 * A node's run directory, on a tmpfs: RAM images, event logs, sockets, pid files. Nothing in it
 * outlives the node, but for the pid files by which the next node recognises what was left running.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { processStartTime } from '../host/pid-files.ts';

export interface RunDir {
  readonly path: string;
  /** Pid files of this node's children. */
  readonly pids: string;
  readonly control: string;
  /** Removes what an earlier node left, but for the pid files. */
  clear(): void;
  remove(): void;
}

/** A unix socket's path has at most 107 bytes; the longest name below the directory has 40. */
export const runDirBytesMax = 66;

/** The file that says whose the directory is; its presence says that it is a run directory. */
const ownerFile = 'node.pid';

/**
 * Takes the directory for this process. Throws `resources` when a living node has it or its file
 * system is full, `rights` when it cannot be had, `config` when it is not one to be cleared.
 */
export function claimRunDir(dir: string): RunDir {
  if (Buffer.byteLength(dir) > runDirBytesMax) {
    throw new UnderstudyError(
      'config',
      `Run directory '${dir}' is too long for unix sockets: ${Buffer.byteLength(dir)} bytes, at most ${runDirBytesMax}`,
      { hint: 'give a shorter runDir in the pair file' },
    );
  }
  makePrivate(dir);
  refuseForeign(dir);
  const owner = path.join(dir, ownerFile);
  const [pid, startTime] = readWords(owner);
  if (pid !== undefined && startTime !== undefined && processStartTime(Number(pid)) === startTime) {
    throw new UnderstudyError(
      'resources',
      `Run directory '${dir}' is used by node process ${pid}`,
      {
        hint: 'stop that node first, or give this one another runDir',
      },
    );
  }
  writeOwner(owner, `${process.pid} ${processStartTime(process.pid)}`);
  const pids = path.join(dir, 'pids');
  const kept = new Set([ownerFile, 'pids']);
  return {
    path: dir,
    pids,
    control: path.join(dir, 'control'),
    clear: () => {
      for (const name of fs.readdirSync(dir)) {
        if (!kept.has(name)) fs.rmSync(path.join(dir, name), { recursive: true, force: true });
      }
    },
    remove: () => fs.rmSync(dir, { recursive: true, force: true }),
  };
}

/**
 * Throws `resources` when the file system has less room than the guest's memory and the log need.
 * A RAM image is a file with holes: without room, QEMU would be killed when the guest first writes.
 */
export function requireRoom(dir: string, memoryBytes: number): void {
  const { bavail, bsize } = fs.statfsSync(dir);
  const [free, need] = [bavail * bsize, memoryBytes + logRoomBytes];
  if (free >= need) return;
  throw new UnderstudyError(
    'resources',
    `Run directory '${dir}' has too little room: ${mebibytes(free)} MiB are free, ` +
      `${mebibytes(need)} MiB are needed for the guest's memory and the log`,
    { hint: 'free some, enlarge the tmpfs (mount -o remount,size=...), or set another runDir' },
  );
}

/** What docs/operations.md asks for beside the guest's memory. */
const logRoomBytes = 64 * 1024 * 1024;

function mebibytes(bytes: number): number {
  return Math.floor(bytes / (1024 * 1024));
}

/** Makes it, or takes one that is ours, for our eyes only: the guest's memory will be in it. */
function makePrivate(dir: string): void {
  try {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    const cause = asError(thrown);
    const isFull = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new UnderstudyError(
      isFull ? 'resources' : 'rights',
      `Cannot create run directory '${dir}'`,
      {
        cause,
        hint: isFull
          ? 'free some room there, or set another runDir in the pair file'
          : 'set runDir in the pair file to a directory that you may write',
      },
    );
  }
  // In a directory that all may write, such as /dev/shm, somebody else may have been first.
  const stat = fs.lstatSync(dir);
  if (stat.isSymbolicLink() || stat.uid !== process.getuid?.()) {
    const what = stat.isSymbolicLink() ? 'is a symbolic link' : `belongs to user ${stat.uid}`;
    throw new UnderstudyError('rights', `Cannot use run directory '${dir}': it ${what}`, {
      hint: 'see who made it, remove it, or set another runDir in the pair file',
    });
  }
  if ((stat.mode & 0o077) !== 0) fs.chmodSync(dir, 0o700);
}

/** All of it will be removed: nobody may lose files by a mistyped path. */
function refuseForeign(dir: string): void {
  const names = fs.readdirSync(dir);
  if (names.length === 0 || names.includes(ownerFile)) return;
  const some = names.slice(0, 3).join(', ');
  throw new UnderstudyError(
    'config',
    `Run directory '${dir}' is not one: there are other files in it (${some}), and all would be removed`,
    { hint: 'set runDir to a directory for this node alone, or empty it' },
  );
}

function writeOwner(file: string, text: string): void {
  try {
    fs.writeFileSync(file, text, { mode: 0o600 });
  } catch (thrown) {
    const cause = asError(thrown);
    const isFull = ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '');
    throw new UnderstudyError(isFull ? 'resources' : 'rights', `Cannot write '${file}'`, {
      cause,
      hint: isFull
        ? 'free some room there, or set another runDir in the pair file'
        : 'set runDir in the pair file to a directory that you may write',
    });
  }
}

function readWords(file: string): string[] {
  try {
    return fs.readFileSync(file, 'utf8').split(' ');
  } catch {
    return [];
  }
}
