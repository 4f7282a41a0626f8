/**
 * The run directory of a host, on a tmpfs: its control socket, and what the next host needs to know
 * of the nodes that this one has started.
 *
 *   host.lock             locked by the host that runs; its process id
 *   control               the control socket
 *   nodes/PAIR.NODE.json  which process a node is (node-record.ts)
 *   logs/PAIR.NODE        a pipe: what the node logs (node-output.ts)
 *
 * Contract
 *  1. While a host lives no other one gets its run directory, and none its pair directory, if its
 *     file system has locks. The kernel ends both locks with the process.
 *  2. What is in it stays when the host is killed, and goes with the last of its nodes.
 */
import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { tryLock } from '../host/libc.ts';
import { type NodeKey, nameOf, pairOf } from './decisions/effects.ts';

/** A unix socket's path has at most 107 bytes. */
const pathBytesMax = 107;

/** Where a host of that directory is, unless it was given another place. */
export function defaultHostRunDir(dir: string): string {
  const real = fs.existsSync(dir) ? fs.realpathSync(dir) : path.resolve(dir);
  // No pair or node has a dot in its name.
  return `/dev/shm/understudy/host.${hash('sha256', real, 'hex').slice(0, 8)}`;
}

export const controlOfHost = (runDir: string): string => path.join(runDir, 'control');

export class HostRunDir {
  readonly path: string;
  readonly #locks: readonly number[];

  private constructor(runDir: string, locks: readonly number[]) {
    this.path = runDir;
    this.#locks = locks;
  }

  /**
   * Throws `resources` when another host has one of both directories, `config` when the path is too
   * long, and `rights` when the directory cannot be made or is somebody else's.
   */
  static claim(runDir: string, dir: string): HostRunDir {
    refuseTooLong(runDir);
    try {
      fs.mkdirSync(runDir, { recursive: true, mode: 0o700 });
    } catch (thrown) {
      throw cannotMake(runDir, asError(thrown));
    }
    refuseForeign(runDir);
    const locks: number[] = [];
    try {
      locks.push(lockRunDir(runDir, dir), ...lockPairDir(dir));
      const claimed = new HostRunDir(runDir, locks);
      claimed.make();
      return claimed;
    } catch (error) {
      for (const fd of locks) fs.closeSync(fd);
      throw error;
    }
  }

  /** What is in it, again if somebody has taken it away. */
  make(): void {
    for (const below of parts) {
      fs.mkdirSync(path.join(this.path, below), { recursive: true, mode: 0o700 });
    }
  }

  get records(): string {
    return path.join(this.path, 'nodes');
  }

  recordOf(key: NodeKey): string {
    return path.join(this.records, `${fileName(key)}.json`);
  }

  outputOf(key: NodeKey): string {
    return path.join(this.path, 'logs', fileName(key));
  }

  /** `isEmpty`: no node goes on. The lock's file stays: two could lock two files of one name. */
  release({ isEmpty }: { readonly isEmpty: boolean }): void {
    if (isEmpty) {
      for (const below of parts) {
        fs.rmSync(path.join(this.path, below), { recursive: true, force: true });
      }
    }
    fs.rmSync(controlOfHost(this.path), { force: true });
    for (const fd of this.#locks) fs.closeSync(fd);
  }
}

const parts = ['nodes', 'logs'];
const fileName = (key: NodeKey): string => `${pairOf(key)}.${nameOf(key)}`;

function lockRunDir(runDir: string, dir: string): number {
  const { O_RDWR, O_CREAT } = fs.constants;
  const file = path.join(runDir, 'host.lock');
  const fd = fs.openSync(file, O_RDWR | O_CREAT, 0o600);
  if (!tryLock(fd)) {
    const pid = fs.readFileSync(file, 'utf8').trim() || 'unknown';
    fs.closeSync(fd);
    throw inUse(dir, `process ${pid} has '${file}'`);
  }
  fs.ftruncateSync(fd);
  fs.writeSync(fd, `${process.pid}\n`, 0);
  return fd;
}

/** None where the file system has no locks for a directory. */
function lockPairDir(dir: string): number[] {
  const fd = fs.openSync(dir, 'r');
  let isFree: boolean;
  try {
    isFree = tryLock(fd);
  } catch {
    fs.closeSync(fd);
    return [];
  }
  if (isFree) return [fd];
  fs.closeSync(fd);
  throw inUse(dir, 'one with another --run-dir');
}

function inUse(dir: string, who: string): UnderstudyError {
  return new UnderstudyError('resources', `A host for '${dir}' runs already: ${who}`, {
    hint: 'see what it does with `understudy host status`, or end it with `understudy host stop`',
  });
}

function refuseTooLong(runDir: string): void {
  const bytes = Buffer.byteLength(controlOfHost(runDir));
  if (bytes <= pathBytesMax) return;
  throw new UnderstudyError(
    'config',
    `Run directory '${runDir}' is too long for a unix socket: its path has ${bytes} bytes, at most ${pathBytesMax}`,
    { hint: 'give a shorter --run-dir' },
  );
}

function refuseForeign(runDir: string): void {
  const stat = fs.lstatSync(runDir);
  const isOurs = stat.isDirectory() && stat.uid === process.getuid?.();
  if (!isOurs) {
    const what = stat.isDirectory() ? `belongs to user ${stat.uid}` : 'is not a directory';
    throw new UnderstudyError('rights', `Cannot use run directory '${runDir}': it ${what}`, {
      hint: 'see who made it, remove it, or give another --run-dir',
    });
  }
  if ((stat.mode & 0o077) !== 0) fs.chmodSync(runDir, 0o700);
}

function cannotMake(runDir: string, cause: Error): UnderstudyError {
  return new UnderstudyError('rights', `Cannot create run directory '${runDir}'`, {
    cause,
    hint: 'give a --run-dir that you may write',
  });
}
