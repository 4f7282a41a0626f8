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
  /** All of it; one that was there before any node is empty then, with the rights that it had. */
  remove(): void;
}

/** A unix socket's path has at most 107 bytes; the longest name below the directory has 40. */
export const runDirBytesMax = 66;

/** The file that says whose the directory is; its presence says that it is a run directory. */
const ownerFile = 'node.pid';

/**
 * Throws when the directory cannot become this node's, and touches nothing: `resources` when a
 * living node has it, `rights` when it is somebody else's, `config` when it is not one to be
 * cleared.
 */
export function inspectRunDir(dir: string): void {
  if (Buffer.byteLength(dir) > runDirBytesMax) {
    throw new UnderstudyError(
      'config',
      `Run directory '${dir}' is too long for unix sockets: ${Buffer.byteLength(dir)} bytes, at most ${runDirBytesMax}`,
      { hint: 'give a shorter runDir in the pair file' },
    );
  }
  if (statOf(dir) === undefined) {
    refuseUnmakeable(dir);
    return;
  }
  refuseForeign(dir);
  refuseUsed(dir);
}

/**
 * Takes the directory for this process, for our eyes only: the guest's memory will be in it. Throws
 * as `inspectRunDir`, and `resources` or `rights` when it cannot be made or written.
 */
export function claimRunDir(dir: string): RunDir {
  inspectRunDir(dir);
  // What an earlier node left is ours to remove; what was there without one is put back.
  const found = fs.existsSync(path.join(dir, ownerFile)) ? undefined : statOf(dir);
  makePrivate(dir);
  const clear = (kept: ReadonlySet<string>): void => {
    for (const name of fs.readdirSync(dir)) {
      if (!kept.has(name)) fs.rmSync(path.join(dir, name), { recursive: true, force: true });
    }
  };
  const remove = (): void => {
    if (found === undefined) {
      fs.rmSync(dir, { recursive: true, force: true });
      return;
    }
    clear(new Set());
    fs.chmodSync(dir, found.mode & 0o7777);
  };
  try {
    writeOwner(dir);
  } catch (error) {
    remove();
    throw error;
  }
  const pids = path.join(dir, 'pids');
  return {
    path: dir,
    pids,
    control: path.join(dir, 'control'),
    clear: () => clear(new Set([ownerFile, 'pids'])),
    remove,
  };
}

/**
 * Makes the directory of a node that runs, of which somebody has taken it away. Throws as
 * `claimRunDir` does.
 */
export function takeRunDir(dir: string): void {
  makePrivate(dir);
  refuseForeign(dir);
  writeOwner(dir);
  fs.mkdirSync(path.join(dir, 'pids'), { recursive: true, mode: 0o700 });
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

/** Of a directory, or of what is in its place; `undefined`: there is nothing. */
function statOf(dir: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(dir, { throwIfNoEntry: false });
  } catch (thrown) {
    throw cannotMake(dir, thrown);
  }
}

function refuseUnmakeable(dir: string): void {
  let above = path.dirname(dir);
  while (statOf(above) === undefined) above = path.dirname(above);
  try {
    fs.accessSync(above, fs.constants.W_OK | fs.constants.X_OK);
  } catch (thrown) {
    throw cannotMake(dir, thrown);
  }
}

/** One that is there is ours: it was inspected. */
function makePrivate(dir: string): void {
  try {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    if ((fs.statSync(dir).mode & 0o077) !== 0) fs.chmodSync(dir, 0o700);
  } catch (thrown) {
    throw cannotMake(dir, thrown);
  }
}

function cannotMake(dir: string, thrown: unknown): UnderstudyError {
  const cause = asError(thrown);
  const isFull = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
  return new UnderstudyError(
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

/**
 * In a directory that all may write, such as /dev/shm, somebody else may have been first. And all
 * of it will be removed: nobody may lose files by a mistyped path.
 */
function refuseForeign(dir: string): void {
  const stat = fs.lstatSync(dir);
  const what = stat.isSymbolicLink()
    ? 'is a symbolic link'
    : !stat.isDirectory()
      ? 'is not a directory'
      : stat.uid !== process.getuid?.()
        ? `belongs to user ${stat.uid}`
        : undefined;
  if (what !== undefined) {
    throw new UnderstudyError('rights', `Cannot use run directory '${dir}': it ${what}`, {
      hint: 'see who made it, remove it, or set another runDir in the pair file',
    });
  }
  const names = fs.readdirSync(dir);
  if (names.length === 0 || names.includes(ownerFile)) return;
  const some = names.slice(0, 3).join(', ');
  throw new UnderstudyError(
    'config',
    `Run directory '${dir}' is not one: there are other files in it (${some}), and all would be removed`,
    { hint: 'set runDir to a directory for this node alone, or empty it' },
  );
}

/** The node process that has a run directory; `undefined` when none that lives has. */
export function livingNode(dir: string): number | undefined {
  const [pid, startTime] = readWords(path.join(dir, ownerFile));
  if (pid === undefined || startTime === undefined) return undefined;
  return processStartTime(Number(pid)) === startTime ? Number(pid) : undefined;
}

function refuseUsed(dir: string): void {
  const pid = livingNode(dir);
  if (pid === undefined) return;
  throw new UnderstudyError('resources', `Run directory '${dir}' is used by node process ${pid}`, {
    hint: 'stop that node first, or give this one another runDir',
  });
}

/** Says that the directory is this process's. */
function writeOwner(dir: string): void {
  const file = path.join(dir, ownerFile);
  const owner = `${process.pid} ${processStartTime(process.pid)}`;
  try {
    fs.writeFileSync(file, owner, { mode: 0o600 });
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
