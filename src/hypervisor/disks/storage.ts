/**
 * A node's disks behind one `qemu-storage-daemon` (R10).
 *
 * The daemon is outside record/replay, so its block jobs work as documented. Each disk is a raw
 * image, exported over NBD on one unix socket under the disk's id, to several QEMU processes at
 * once: the replayer that works and the successor that waits.
 *
 * To copy a disk that is in use: track its writes (write-tracker.ts), read the image meanwhile, and
 * take a point-in-time copy of what was written last (`prepareCopy`, `startCopies`, `hurryCopies`).
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { type ExitInfo, type OwnedProcess, spawnOwned } from '../../host/processes.ts';
import { hypervisorLimits } from '../limits.ts';
import type { Monitor } from '../qemu/monitor.ts';
import { monitorOf } from '../qemu/monitor-of.ts';
import { type DiscardingDisk, requireHoles } from './discard.ts';
import { lockImages, type Release } from './image-lock.ts';
import { WriteTracker } from './write-tracker.ts';

export interface StorageOptions {
  readonly disks: readonly DiscardingDisk[];
  /** Directory of this daemon's sockets; created. */
  readonly dir: string;
  readonly pidDir: string;
}

/** A point-in-time copy that is to be made. */
export interface DiskCopy {
  /** The disk. */
  readonly id: string;
  /** What `prepareCopy` gave. */
  readonly node: string;
  /** Copies only what this tracker saw written since its last round; all of the disk without it. */
  readonly tracker?: WriteTracker;
  /** The tracker begins its next round at the instant of the copy. @default false: it ends */
  readonly goesOn?: boolean;
  /** Copies all of the disk all the same. @default false */
  readonly whole?: boolean;
}

export class Storage {
  readonly nbdSocket: string;
  readonly #options: StorageOptions;
  readonly #process: OwnedProcess;
  readonly #monitor: Monitor;
  #nextJob = 1;

  private constructor(
    options: StorageOptions,
    child: OwnedProcess,
    monitor: Monitor,
    releaseImages: Release,
  ) {
    this.nbdSocket = socketsOf(options).nbd;
    this.#options = options;
    this.#process = child;
    this.#monitor = monitor;
    void child.exited.then(releaseImages);
  }

  /** Throws `disk` when it does not start, or another program uses one of the images. */
  static async start(options: StorageOptions): Promise<Storage> {
    requireHoles(options.disks);
    const release = lockImages(
      options.disks.map(({ path, readOnly }) => ({ path, use: readOnly ? 'read' : 'write' })),
    );
    fs.mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    const { nbd, qmp } = socketsOf(options);
    for (const path of [nbd, qmp]) fs.rmSync(path, { force: true });
    const child = spawnOwned({
      name: 'storage',
      command: 'qemu-storage-daemon',
      args: storageArguments(options.disks, nbd, qmp),
      runDir: options.pidDir,
    });
    try {
      return new Storage(options, child, await monitorOf(child, qmp, whyEnded), release);
    } catch (error) {
      await child.kill();
      release();
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when the daemon has ended, however. */
  get exited(): Promise<ExitInfo> {
    return this.#process.exited;
  }

  /** What the data of a BLOCK_IO_ERROR (qapi/block-core.json) says, with the image on this node. */
  describeError({ device, operation, reason }: Readonly<Record<string, unknown>>): string {
    const image = this.#options.disks.find(({ id }) => id === device)?.path;
    const where = image === undefined ? 'of which no image is known' : `'${image}'`;
    return `a ${operation} of disk '${device}' failed (${reason}): ${where}`;
  }

  /** Resolves when the daemon answers; rejects when it cannot any more. */
  answer(): Promise<unknown> {
    return this.#monitor.execute('query-jobs', {}, { deadlineMs: hypervisorLimits.beatAnswerMs });
  }

  /** Its socket is there for others. */
  get canBeReached(): boolean {
    return fs.existsSync(this.nbdSocket);
  }

  /** SIGKILL, for one that does not answer. */
  async kill(): Promise<void> {
    await this.#process.kill('SIGKILL');
  }

  /**
   * Another daemon in the place of this one, which has ended. A QEMU that was connected connects
   * again, and makes its open requests anew (`diskReconnectSeconds`).
   */
  again(): Promise<Storage> {
    return Storage.start(this.#options);
  }

  /** Records which parts of a disk of `bytes` are written from now on. */
  trackWrites(id: string, bytes: number): Promise<WriteTracker> {
    const tracker = WriteTracker.begin({
      monitor: this.#monitor,
      nbdSocket: this.nbdSocket,
      disk: id,
      bytes,
      name: `writes${this.#nextJob}`,
    });
    this.#nextJob += 1;
    return tracker;
  }

  /** Prepares a point-in-time copy; nothing is copied before `startCopies`. */
  async prepareCopy(id: string, path: string, bytes: number): Promise<string> {
    createCopyFile(path, bytes);
    const node = `copy${this.#nextJob}-${id}`;
    this.#nextJob += 1;
    await this.#monitor.execute('blockdev-add', {
      driver: 'file',
      'node-name': node,
      filename: path,
      discard: 'unmap',
      'detect-zeroes': 'unmap',
    });
    return node;
  }

  /**
   * The copies show the disks as they are at this call; writes after it are copied around. A copy
   * with a tracker ends its round: what is written after this call is in the next one, or, when the
   * tracker does not go on, in none.
   *
   * The copying itself hardly begins before `hurryCopies`: the daemon answers nobody while it
   * starts to copy at full speed, and the machine is stopped now.
   */
  async startCopies(copies: readonly DiskCopy[]): Promise<{ readonly done: Promise<void> }> {
    const done = copies.map(({ node }) => this.#jobDone(node));
    const actions = copies.flatMap(({ id, node, tracker, goesOn, whole }) => {
      // 'never': the bitmap stays as it was frozen, so that it can be read afterwards.
      const what =
        tracker === undefined || whole === true
          ? { sync: 'full' }
          : { sync: 'bitmap', bitmap: tracker.bitmap, 'bitmap-mode': 'never' };
      const end = goesOn === true ? tracker?.turnActions() : tracker && [tracker.freezeAction()];
      return [
        ...(end ?? []),
        {
          type: 'blockdev-backup',
          data: {
            'job-id': node,
            device: id,
            target: node,
            ...what,
            speed: 1,
            'auto-dismiss': false,
          },
        },
      ];
    });
    if (actions.length > 0) await this.#monitor.execute('transaction', { actions });
    const all = Promise.all(done).then(() => undefined);
    all.catch(() => undefined); // whoever needs the copies waits for them
    // In an object: a promise that resolves to a promise would wait for it.
    return { done: all };
  }

  /** Lets the copies run at full speed. A copy that is done already needs no hurry. */
  async hurryCopies(copies: readonly { node: string }[]): Promise<void> {
    for (const { node } of copies) {
      await this.#monitor
        .execute('block-job-set-speed', { device: node, speed: 0 })
        .catch(() => undefined);
    }
  }

  /** Ends a copy if it still runs and forgets its node, so that its file can be removed. */
  async discardCopy(node: string): Promise<void> {
    const jobs = await this.#monitor.execute<{ id: string }[]>('query-jobs');
    if (jobs.some(({ id }) => id === node)) {
      const done = this.#jobDone(node);
      await this.#monitor.execute('job-cancel', { id: node });
      await done.catch(() => undefined);
    }
    await this.#monitor.execute('blockdev-del', { 'node-name': node });
  }

  #jobDone(id: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = this.#monitor.onEvent((event) => {
        if (event.event !== 'JOB_STATUS_CHANGE' || event.data?.id !== id) return;
        if (event.data.status !== 'concluded') return;
        stop();
        this.#conclude(id).then(resolve, reject);
      });
      void this.#process.exited.then(() => {
        stop();
        reject(new UnderstudyError('disk', 'The storage daemon ended during a disk copy'));
      });
    });
  }

  async #conclude(id: string): Promise<void> {
    const jobs = await this.#monitor.execute<{ id: string; error?: string }[]>('query-jobs');
    await this.#monitor.execute('job-dismiss', { id });
    const error = jobs.find((job) => job.id === id)?.error;
    if (error !== undefined) {
      throw new UnderstudyError('disk', `Copying a disk failed: ${error}`, {
        hint: 'check the free space beside the disk image: a seed needs what the disk holds',
      });
    }
  }

  /** Ends the daemon after it has written everything out. */
  async stop(): Promise<void> {
    this.#monitor.close();
    await this.#process.kill('SIGTERM');
  }
}

function whyEnded({ reason, stderr }: ExitInfo): UnderstudyError {
  return new UnderstudyError('disk', `The storage daemon ended (${reason})`, {
    cause: new Error(stderr.trim() || 'it printed nothing'),
    hint: 'check the paths and the rights of the disk images, and that no other VM uses them',
  });
}

/** Anew, and not what an earlier node left: that may have been readable for others. */
function createCopyFile(path: string, bytes: number): void {
  try {
    fs.rmSync(path, { force: true });
    const fd = fs.openSync(path, 'wx', 0o600);
    try {
      fs.ftruncateSync(fd, bytes);
    } finally {
      fs.closeSync(fd);
    }
  } catch (thrown) {
    throw new UnderstudyError('resources', `Cannot create '${path}' for a seed`, {
      cause: asError(thrown),
      hint: 'check that the directory of the disk image is writable and has room',
    });
  }
}

function socketsOf({ dir }: StorageOptions): { readonly nbd: string; readonly qmp: string } {
  return { nbd: `${dir}/nbd`, qmp: `${dir}/qmp` };
}

function storageArguments(disks: readonly DiscardingDisk[], nbd: string, qmp: string): string[] {
  const doubled = (value: string): string => value.replaceAll(',', ',,');
  return [
    ['--chardev', `socket,id=qmp,path=${doubled(qmp)},server=on,wait=off`],
    ['--monitor', 'chardev=qmp'],
    ...disks.flatMap(({ id, path, readOnly }) => [
      [
        '--blockdev',
        // Locks that keep others out are the node's (image-lock.ts): they would meet the daemon's.
        `driver=file,node-name=${id},filename=${doubled(path)},locking=off,discard=unmap,read-only=${readOnly ? 'on' : 'off'}`,
      ],
    ]),
    ['--nbd-server', `addr.type=unix,addr.path=${doubled(nbd)},max-connections=0`],
    ...disks.map(({ id, readOnly }) => [
      '--export',
      `type=nbd,id=export-${id},node-name=${id},name=${id},writable=${readOnly ? 'off' : 'on'}`,
    ]),
  ].flat();
}

/** Size of a raw image, bytes. */
export function imageBytes(path: string): number {
  try {
    return fs.statSync(path).size;
  } catch (thrown) {
    throw new UnderstudyError('disk', `Cannot read disk image '${path}'`, {
      cause: asError(thrown),
      hint: 'create it, for example: truncate -s 1G disk.raw',
    });
  }
}
