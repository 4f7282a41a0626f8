/**
 * One node, one process: a lock beside the file of its spoken term.
 *
 * Contract
 *  1. While a process has the lock no other one gets it, whatever its port and run directory, as
 *     long as both have the same `stateDir`.
 *  2. The kernel takes it away when the process ends, however it ends: a file that is there says
 *     nothing. It stays, because to remove it would let two processes lock two files of one name.
 *  3. Its text names the process, for the message of who is refused.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import { makeDirectorySync } from '../host/durable-files.ts';
import { tryLock } from '../host/libc.ts';

export interface NodeLockOptions {
  readonly pair: string;
  readonly node: string;
  /** Made if it is not there. */
  readonly stateDir: string;
}

export class NodeLock {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Throws `resources` when another process is this node, `rights` when the file cannot be made and
   * `environment` when its file system has no locks.
   */
  static take(options: NodeLockOptions): NodeLock {
    const { stateDir, pair, node } = options;
    const file = path.join(stateDir, `${pair}-${node}.lock`);
    const fd = open(file);
    try {
      if (!isFree(fd, file)) throw inUse(options, file);
      fs.ftruncateSync(fd);
      fs.writeSync(fd, `${process.pid} ${os.hostname()}\n`, 0);
      return new NodeLock(fd);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  release(): void {
    fs.closeSync(this.#fd);
  }
}

function open(file: string): number {
  const { O_RDWR, O_CREAT } = fs.constants;
  try {
    makeDirectorySync(path.dirname(file));
    return fs.openSync(file, O_RDWR | O_CREAT, 0o600);
  } catch (thrown) {
    throw new UnderstudyError('rights', `Cannot keep state in '${path.dirname(file)}'`, {
      cause: asError(thrown),
      hint: 'set stateDir of the node in the pair file to a directory that you may write',
    });
  }
}

function isFree(fd: number, file: string): boolean {
  try {
    return tryLock(fd);
  } catch (thrown) {
    throw new UnderstudyError('environment', `Cannot lock '${file}'`, {
      cause: asError(thrown),
      hint: 'set stateDir of the node in the pair file to a directory on a disk of this host',
    });
  }
}

function inUse({ pair, node }: NodeLockOptions, file: string): UnderstudyError {
  const [pid = 'unknown', host = 'unknown'] = fs.readFileSync(file, 'utf8').split(/\s/);
  const where = host === os.hostname() ? '' : ` on host '${host}'`;
  return new UnderstudyError(
    'resources',
    `Node '${node}' of pair '${pair}' runs already: process ${pid}${where} has '${file}'`,
    {
      hint: 'a node is one process: stop that one first (understudy stop), or start the other node',
    },
  );
}
