/**
 * A past that a debugger walks through: a replayer with a GDB stub (QEMU's own, gdbstub.c) on a
 * unix socket.
 *
 * Intuition: the kept log is fed to its end from the beginning, and the machine is stopped at the
 * instant by QEMU itself (`replay-break`). When the debugger lets it go on, it executes what it
 * executed then.
 *
 * Contract
 *  1. The socket is opened when the machine stands at the instant. From there on only the debugger
 *     stops it or lets it go on; what is due at the cuts of the log, it does not see.
 *  2. At the end of the log the machine stands still, and each `continue` stops at once.
 *  3. It is a copy, and silent. A debugger that changes memory or registers changes the past: the
 *     log is not followed from there on, and `ended` tells of the stall.
 *  4. Nothing is left running after `end`, or when it does not open.
 */
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import type { Icount } from '../base/units.ts';
import type { QemuInstance } from '../hypervisor/qemu/instance.ts';
import type { Replayer } from '../hypervisor/replay/replayer.ts';
import {
  diskImage,
  type LogPiece,
  ramImage,
  type SnapshotManifest,
  type SnapshotStore,
} from '../ports/snapshot-store.ts';
import { layoutFor } from '../rrlog/layouts.ts';
import type { Instant } from './instant.ts';
import { icountOf } from './locate.ts';
import { fillNewDirectory } from './new-directory.ts';
import { checkStart, keptMachine } from './prepare.ts';
import { preparedPaths } from './prepared.ts';
import { type Guide, rollForward } from './roll-forward.ts';

export interface DebugOptions {
  readonly store: SnapshotStore;
  readonly snapshot: SnapshotManifest;
  readonly until: Instant;
  /** Path of the debugger's socket, which must not be there. */
  readonly socket: string;
  /** For the disks; created, and must be empty. */
  readonly dir: string;
  /** On a tmpfs, with a short path and room for the guest's memory. */
  readonly runDir: string;
  readonly onReplayer?: (instance: QemuInstance) => Promise<void>;
  /** The machine stands at the instant, and no debugger has it yet. */
  readonly onInstant?: (ramFile: string) => Promise<void>;
  /** All log was executed; `problem` is why there is no more, where it should go on. */
  readonly onLogEnd?: (icount: Icount, problem: Error | undefined) => void;
}

export interface Debugged {
  /** Of the instant. */
  readonly icount: Icount;
  /**
   * Resolves when the machine is gone: by `end`, or because the debugger killed it. Rejects with
   * `stall` or `takeover` when the log was not followed, `log-format` when it is damaged.
   */
  readonly ended: Promise<void>;
  end(): Promise<void>;
}

/** The longest path of a unix socket, without its terminating zero (sys/un.h). */
const socketPathBytes = 107;

/** Throws `config` for a socket that cannot be. To be called before the past is executed. */
export function checkGdbSocket(socket: string): void {
  const absolute = path.resolve(socket);
  const refuse = (why: string): never => {
    throw new UnderstudyError('config', `No debugger can connect to '${socket}': ${why}`, {
      hint: 'name a short path such as /tmp/past.gdb',
    });
  };
  const bytes = Buffer.byteLength(absolute);
  if (bytes > socketPathBytes)
    refuse(`its path has ${bytes} bytes, ${socketPathBytes} are possible`);
  // QEMU's monitor takes the path as a word of an option.
  if (/[\s,"\\]/.test(absolute)) refuse('its path has a blank, a comma, a quote or a backslash');
}

/**
 * Executes to the instant and opens the socket there. Throws like `prepareMachine`, and `qemu` when
 * there is no socket.
 */
export async function openToDebugger(options: DebugOptions): Promise<Debugged> {
  const { store, snapshot: manifest, until, dir, runDir, onReplayer } = options;
  await checkStart(manifest, until);
  const layout = layoutFor(manifest.layout);
  const pieces = (): AsyncIterable<LogPiece> => store.log.follow(manifest);
  const at = await icountOf({ layout, cut: manifest, pieces: pieces(), until });
  const snapshot = await store.open(manifest.id);
  const paths = preparedPaths(dir);
  const ramFile = path.join(runDir, 'ram');
  const vm = await fillNewDirectory(dir, async () => {
    const machine = await keptMachine(snapshot, dir);
    for (const { id } of machine.disks) await snapshot.materialize(diskImage(id), paths.disk(id));
    return machine;
  });
  await snapshot.materialize(ramImage, ramFile);
  const walk = new Walk(options, at);
  const running = rollForward({
    ...{ vm, layout, ramFile, pidDir: runDir, guide: walk },
    diskImages: Object.fromEntries(vm.disks.map(({ id }) => [id, paths.disk(id)])),
    deviceState: await snapshot.deviceState(),
    cut: manifest,
    pieces: walk.asFarAsKept(pieces()),
    until: { kind: 'end' },
    dir: path.join(runDir, 'past'),
    ...(onReplayer === undefined ? {} : { onReplayer }),
  });
  const ended = running.then(
    () => undefined,
    async (error: unknown) => {
      if (!(await walk.wasEnded())) throw error;
    },
  );
  ended.catch(() => undefined); // told to whoever awaits it
  const end = async (): Promise<void> => {
    await walk.end();
    await ended.catch(() => undefined);
  };
  try {
    await Promise.race([walk.standing, ended]);
    await options.onInstant?.(ramFile);
    await walk.listen();
    return { icount: at, ended, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** One machine and its debugger, from the load of its state on. */
class Walk implements Guide {
  readonly #options: DebugOptions;
  readonly #at: Icount;
  readonly standing: Promise<void>;
  readonly #over: Promise<void>;
  #stand: () => void = () => undefined;
  #beOver: () => void = () => undefined;
  #instance: QemuInstance | undefined;
  #isHeld = true;
  #hasAllExecuted = false;
  /** Why the log ends before what is kept does. */
  #problem: Error | undefined;
  #isEnding = false;

  constructor(options: DebugOptions, at: Icount) {
    this.#options = options;
    this.#at = at;
    this.standing = new Promise((resolve) => {
      this.#stand = resolve;
    });
    this.#over = new Promise((resolve) => {
      this.#beOver = resolve;
    });
  }

  readonly held = (): boolean => this.#isHeld;

  readonly loaded = async (replayer: Replayer): Promise<void> => {
    const { instance } = replayer;
    this.#instance = instance;
    void instance.exited.then(() => {
      if (this.#instance === instance) this.#beOver();
    });
    instance.monitor.onEvent(({ event }) => {
      if (event === 'STOP') this.#stopped(instance);
      else if (event === 'RESUME') this.#resumed(instance);
    });
    const { until, snapshot } = this.#options;
    if (until.kind !== 'end') {
      // QEMU notices an icount when it gets there: at the cut it is there already.
      if (this.#at === snapshot.icount) {
        this.#stand();
        return;
      }
      await instance.monitor.execute('replay-break', { icount: this.#at });
    }
    replayer.letGo();
  };

  readonly isReplaceable = (icount: Icount): boolean =>
    this.#options.until.kind === 'end' || icount < this.#at;

  readonly atEnd = async (icount: Icount, problem: UnderstudyError | undefined): Promise<void> => {
    const { until, onLogEnd } = this.#options;
    const instance = this.#instance as QemuInstance;
    this.#hasAllExecuted = true;
    if (until.kind === 'end') this.#stand();
    if (!this.#isHeld) await instance.stop();
    onLogEnd?.(icount, problem ?? this.#problem);
    await this.#over;
  };

  /** The log behind the instant may have a gap: it is walked through up to there. */
  async *asFarAsKept(pieces: AsyncIterable<LogPiece>): AsyncGenerator<LogPiece> {
    try {
      yield* pieces;
    } catch (thrown) {
      if (!(thrown instanceof UnderstudyError)) throw thrown;
      this.#problem = thrown;
    }
  }

  async listen(): Promise<void> {
    const { socket } = this.#options;
    const server = `gdbserver unix:${path.resolve(socket)},server=on,wait=off`;
    const { monitor } = this.#instance as QemuInstance;
    const said = await monitor.execute<string>('human-monitor-command', { 'command-line': server });
    // "Waiting for gdb connection on device '...'"
    if (!said.startsWith('Waiting')) {
      throw new UnderstudyError('qemu', `QEMU opens no socket for a debugger: ${said.trim()}`);
    }
  }

  /**
   * Of a machine that is gone: whether somebody wanted that. The debugger's `kill` is a clean exit.
   */
  async wasEnded(): Promise<boolean> {
    return this.#isEnding || (await this.#instance?.exited)?.code === 0;
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    this.#beOver();
    await this.#instance?.process.kill('SIGKILL');
  }

  #stopped(instance: QemuInstance): void {
    this.#isHeld = true;
    // Also told of a cut on the way, where it goes on at once. No answer: it has ended, and that is
    // told.
    instance.queryIcount().then(
      (icount) => {
        if (icount === this.#at) this.#stand();
      },
      () => undefined,
    );
  }

  #resumed(instance: QemuInstance): void {
    this.#isHeld = false;
    if (this.#hasAllExecuted) instance.stop().catch(() => undefined);
  }
}
