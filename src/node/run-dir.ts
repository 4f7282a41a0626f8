/**
 * A node's run directory, on a tmpfs: RAM images, event logs, sockets, pid files. Nothing in it
 * outlives the node, but for the pid files by which the next node recognises what was left running.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { processStartTime } from '../hypervisor/pid-files.ts';

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
const pathBytesMax = 66;

/** Takes the directory for this process. Throws `resources` when a living node has it. */
export function claimRunDir(dir: string): RunDir {
  if (Buffer.byteLength(dir) > pathBytesMax) {
    throw new UnderstudyError(
      'config',
      `Run directory '${dir}' is too long for unix sockets: ${Buffer.byteLength(dir)} bytes, at most ${pathBytesMax}`,
      { hint: 'give a shorter runDir in the pair file' },
    );
  }
  try {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new UnderstudyError('rights', `Cannot create run directory '${dir}'`, {
      cause: asError(thrown),
      hint: 'set runDir in the pair file to a directory that you may write',
    });
  }
  const owner = path.join(dir, 'node.pid');
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
  fs.writeFileSync(owner, `${process.pid} ${processStartTime(process.pid)}`, { mode: 0o600 });
  const pids = path.join(dir, 'pids');
  const kept = new Set(['node.pid', 'pids']);
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

function readWords(file: string): string[] {
  try {
    return fs.readFileSync(file, 'utf8').split(' ');
  } catch {
    return [];
  }
}
