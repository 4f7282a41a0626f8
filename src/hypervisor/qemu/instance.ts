/**
 * One QEMU process and its connections: monitor, pad, serial ports, network cards, and a replayer's
 * echo.
 *
 * Recorder, replayer and successor are the same process in different modes; this is what they
 * share. It knows how to stop, save, load and go on; it does not know why.
 */
import fs from 'node:fs';
import net from 'node:net';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { encodeStreamFrame } from '../../base/stream-frames.ts';
import { type ExitInfo, type OwnedProcess, spawnOwned } from '../../host/processes.ts';
import { consolePort, type VmConfig } from '../config.ts';
import { hypervisorLimits } from '../limits.ts';
import {
  type InstancePaths,
  instancePaths,
  nothingDrive,
  qemuArguments,
  tickObject,
} from './command-line.ts';
import type { Monitor } from './monitor.ts';
import { monitorOf } from './monitor-of.ts';
import { SerialPipe } from './serial-pipe.ts';
import { VcpuWake } from './vcpu-wake.ts';

export interface InstanceOptions {
  readonly vm: VmConfig;
  /** Directory of this instance alone, on tmpfs; created, and removed by `destroy`. */
  readonly dir: string;
  /** Where pid files are kept, so that the next start ends what this one left. */
  readonly pidDir: string;
  readonly name: string;
  readonly ramFile: string;
  /** What is written to RAM stays with this QEMU. @default false */
  readonly isRamPrivate?: boolean;
  readonly nbdSocket: string;
  readonly mode: 'record' | 'replay';
  readonly logFile: string;
  readonly incoming: boolean;
  /** What the guest's clock shows at power-on. @default now */
  readonly startsAt?: string;
}

/** As short as a frame may be. */
const wakeFrame = encodeStreamFrame(Buffer.alloc(60));

/** A duplex byte stream to QEMU. */
export type Stream = net.Socket;

export class QemuInstance {
  readonly process: OwnedProcess;
  readonly monitor: Monitor;
  readonly pad: Stream;
  readonly #wake: Stream;
  /** Frames of the log that a replayer has executed. */
  readonly echo: Stream | undefined;
  /** The console, then the ports of the VM file. */
  readonly serials: readonly SerialPipe[];
  readonly nics: readonly Stream[];
  readonly exited: Promise<ExitInfo>;
  /** Of a recorder's vCPU, as the kernel numbers it. */
  readonly vcpuThread: number | undefined;
  readonly #dir: string;
  readonly #vcpuWake: VcpuWake | undefined;
  #isToldToStand = false;

  private constructor(
    options: InstanceOptions,
    child: OwnedProcess,
    monitor: Monitor,
    streams: {
      pad: Stream;
      wake: Stream;
      echo: Stream | undefined;
      serials: readonly SerialPipe[];
      nics: Stream[];
    },
    vcpu: { readonly thread: number | undefined; readonly wake: VcpuWake } | undefined,
  ) {
    this.#dir = options.dir;
    this.vcpuThread = vcpu?.thread;
    this.process = child;
    this.monitor = monitor;
    this.pad = streams.pad;
    this.#wake = streams.wake;
    this.echo = streams.echo;
    this.serials = streams.serials;
    this.nics = streams.nics;
    this.exited = child.exited;
    this.#vcpuWake = vcpu?.wake;
  }

  /**
   * Starts QEMU and waits until it is connected to everything. Throws `qemu` with its stderr, and
   * `resources`; nothing is left open then.
   */
  static async start(options: InstanceOptions): Promise<QemuInstance> {
    fs.mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    const paths = instancePaths(options.dir);
    const servers: net.Server[] = [];
    const undo: (() => unknown)[] = [];
    try {
      const doors = await openDoors(paths, options, servers);
      const serials = [consolePort, ...options.vm.ports].map((_, index) => {
        const pipe = new SerialPipe(paths.serial(index));
        undo.push(() => pipe.destroy());
        return pipe;
      });
      // A replayer answers only while log flows (R1), and is never asked to wake.
      const vcpuWake = options.mode === 'record' ? new VcpuWake(paths.flash) : undefined;
      undo.push(() => vcpuWake?.destroy());
      const child = spawnOwned({
        name: options.name,
        command: options.vm.qemu,
        args: qemuArguments({ ...options, paths }),
        runDir: options.pidDir,
      });
      undo.push(() => child.kill());
      const died = child.exited.then((info) => {
        throw whyEnded(info);
      });
      const monitor = monitorOf(child, paths.monitor, whyEnded);
      const all = Promise.all([
        monitor,
        doors.pad,
        doors.wake,
        doors.echo,
        Promise.all(doors.nics),
      ]);
      const [qmp, pad, wake, echo, nics] = await Promise.race([all, died]);
      died.catch(() => undefined);
      const streams = { pad, wake, echo, serials, nics };
      const vcpu = vcpuWake && { thread: await vcpuThread(qmp), wake: vcpuWake };
      return new QemuInstance(options, child, qmp, streams, vcpu);
    } catch (error) {
      for (const giveBack of undo) await giveBack();
      throw error;
    } finally {
      for (const server of servers) server.close();
    }
  }

  /** Makes QEMU's main loop turn once (R4); nothing of it is in the log but the turn. */
  wake(): void {
    if (this.#wake.writableLength === 0) this.#wake.write(wakeFrame);
  }

  /** Makes the vCPU's thread turn once although its guest is idle: a recorder's (vcpu-wake.ts). */
  wakeVcpu(): void {
    this.#vcpuWake?.wake();
  }

  /** It was told to stand still, and not to go on since. */
  get isToldToStand(): boolean {
    return this.#isToldToStand;
  }

  /** Resolves when QEMU answers; rejects when it cannot any more. */
  answer(): Promise<unknown> {
    return this.monitor.execute('query-name', {}, { deadlineMs: hypervisorLimits.beatAnswerMs });
  }

  /** Stops the machine: a protocol event, see R5. */
  async stop(): Promise<void> {
    this.#isToldToStand = true;
    await this.monitor.execute('stop');
  }

  async cont(deadlineMs?: number): Promise<void> {
    this.#isToldToStand = false;
    await this.monitor.execute('cont', {}, deadlineMs === undefined ? {} : { deadlineMs });
  }

  /** Every section but RAM (R6), while stopped. */
  async saveDeviceState(): Promise<Buffer> {
    const filename = `${this.#dir}/state`;
    await this.monitor.execute('xen-save-devices-state', { filename, live: false });
    // A machine stands still for this: 50 KB of tmpfs are read sooner than a thread is asked to.
    const state = fs.readFileSync(filename);
    fs.rmSync(filename);
    return state;
  }

  /** Gives the tick a new phase, while stopped: it is not part of the device state (R3). */
  async restartTick(): Promise<void> {
    await Promise.all([
      this.monitor.execute('object-del', { id: tickObject.id }),
      this.monitor.execute('object-add', tickObject),
    ]);
  }

  /** Loads a device state into an instance that was started with `incoming` (R7). */
  async loadDeviceState(state: Buffer): Promise<void> {
    const path = `${this.#dir}/incoming`;
    await this.monitor.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'events', state: true }],
    });
    const outcome = this.#migrationOutcome();
    await this.monitor.execute('migrate-incoming', { uri: `unix:${path}` });
    const socket = net.connect(path);
    socket.on('error', () => undefined); // QEMU tells what went wrong, by its event.
    socket.end(state);
    const status = await outcome;
    if (status !== 'completed') {
      throw new UnderstudyError('qemu', 'QEMU did not load the device state', {
        cause: new Error(this.process.stderrTail().trim() || `it says '${status}'`),
        hint: 'both nodes need the same QEMU version and the same VM file',
      });
    }
  }

  /**
   * Makes a request to a replayer's drive that has no device and no contents. It is done at once,
   * and its completion is a bottom half that waits for its event in the log (`blk_aio_prwv`,
   * block/block-backend.c).
   */
  async readNothing(deadlineMs?: number): Promise<void> {
    const said = await this.monitor.execute<string>(
      'human-monitor-command',
      { 'command-line': `qemu-io ${nothingDrive} "aio_read -q 0 512"` },
      deadlineMs === undefined ? {} : { deadlineMs },
    );
    if (said !== '') throw new UnderstudyError('qemu', `QEMU did not read: ${said.trim()}`);
  }

  #migrationOutcome(): Promise<string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => finish('no answer'), limits.stateLoadMs);
      const stopListening = this.monitor.onEvent((event) => {
        const status = event.data?.status;
        if (event.event !== 'MIGRATION' || (status !== 'completed' && status !== 'failed')) return;
        finish(status);
      });
      void this.exited.then((info) => finish(`QEMU ended (${info.reason})`));
      function finish(status: string): void {
        clearTimeout(timer);
        stopListening();
        resolve(status);
      }
    });
  }

  /** Instructions executed so far; answers only while the log flows or cannot be consumed (R1). */
  async queryIcount(deadlineMs?: number): Promise<number> {
    const options = deadlineMs === undefined ? {} : { deadlineMs };
    const reply = await this.monitor.execute<{ icount: number }>('query-replay', {}, options);
    return reply.icount;
  }

  /** Ends QEMU at once and removes its directory. Safe to call more than once. */
  async destroy(): Promise<void> {
    for (const stream of [this.pad, this.#wake, this.echo, ...this.serials, ...this.nics]) {
      stream?.destroy();
    }
    this.#vcpuWake?.destroy();
    this.monitor.close();
    await this.process.kill('SIGKILL');
    await fs.promises.rm(this.#dir, { recursive: true, force: true });
  }
}

function whyEnded({ reason, stderr }: ExitInfo): UnderstudyError {
  return new UnderstudyError('qemu', `QEMU ended while it was starting (${reason})`, {
    cause: new Error(stderr.trim() || 'it printed nothing'),
    hint: 'run `understudy doctor` and check the VM file',
  });
}

/** The thread that executes the guest; there is one vCPU. */
async function vcpuThread(monitor: Monitor): Promise<number | undefined> {
  const cpus = await monitor.execute<{ 'thread-id': number }[]>('query-cpus-fast');
  return cpus[0]?.['thread-id'];
}

/** Sockets that QEMU connects to while it starts; each takes one connection. */
async function openDoors(
  paths: InstancePaths,
  { vm, mode }: InstanceOptions,
  servers: net.Server[],
) {
  const door = async (path: string): Promise<{ connected: Promise<Stream> }> => {
    const server = net.createServer();
    servers.push(server);
    const connected = new Promise<Stream>((resolve) => {
      server.once('connection', (socket) => {
        // QEMU's end resets when it is killed; its exit is what is reported.
        socket.on('error', () => undefined);
        resolve(socket);
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new UnderstudyError('resources', `Cannot listen on '${path}'`, { cause: asError(error) }),
        ),
      );
      server.listen(path, resolve);
    });
    fs.chmodSync(path, 0o600);
    return { connected };
  };
  const pad = await door(paths.pad);
  const wake = await door(paths.wake);
  const echo = mode === 'replay' ? (await door(paths.echo)).connected : undefined;
  const nics: Promise<Stream>[] = [];
  for (let index = 0; index < vm.nics.length; index += 1) {
    nics.push((await door(paths.nic(index))).connected);
  }
  return { pad: pad.connected, wake: wake.connected, echo, nics };
}
