/**
 * Processes that belong to a node, and none of which outlives it.
 *
 * Four nets, one below the other: `kill()`; the node's own exit ends what is left; the kernel ends
 * the child of a node that was killed (parent-death signal, set by util-linux `setpriv`); and the
 * next start of the node ends what a pid file still names (`endStale`).
 *
 * Invariant: a signal goes only to a process that was started here, known by pid **and** start time
 * **and** boot id. Never by name, never by pid alone: pids are recycled.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type ErrorCode, UnderstudyError } from '../base/errors.ts';
import { hostLimits } from './limits.ts';
import { writePidFile } from './pid-files.ts';

/** How a process ended. */
export interface ExitInfo {
  /** Exit code; null when a signal ended it or it never started. */
  readonly code: number | null;
  readonly signal: string | null;
  /** We asked for it with `kill`. */
  readonly expected: boolean;
  /** For a message: "exit code 1", "signal SIGSEGV". */
  readonly reason: string;
  /** The last 16 KiB it wrote to stderr. */
  readonly stderr: string;
  /** For an exit nobody asked for: what to throw or report, with the stderr as its cause. */
  readonly error: UnderstudyError | undefined;
}

export interface SpawnOptions {
  /** What it is to the operator, unique among the living in `runDir`: "recorder", "storage". */
  readonly name: string;
  /** A path, or the name of a program in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  /** Directory of the pid files; created. */
  readonly runDir: string;
  /** Called once, whether the exit was expected or not. */
  readonly onExit?: (info: ExitInfo) => void;
  /** Added to the node's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of `ExitInfo.error`. @default 'qemu' */
  readonly errorCode?: ErrorCode;
  /** A program of ours in Node, with a channel: called with each message that it sends. */
  readonly onMessage?: (message: unknown) => void;
}

/** Children that are alive, to be ended when the node exits without having done so. */
const living = new Set<ChildProcess>();

/** Process ids of children that are alive. */
export const livingPids = (): number[] => [...living].flatMap(({ pid }) => pid ?? []);

/** Ends all of them at once; for a process that is about to end. */
export function endLiving(): void {
  for (const child of living) child.kill('SIGKILL');
}

/**
 * Starts a process of this node. Its stdin is empty, its stdout dropped, its stderr kept. It has a
 * process group of its own, so that Ctrl-C reaches the node alone.
 *
 * @throws UnderstudyError `environment` when the program is not there, `resources` when the
 * process could not be started.
 */
export function spawnOwned(options: SpawnOptions): OwnedProcess {
  return new OwnedProcess(options);
}

export class OwnedProcess {
  readonly name: string;
  readonly pid: number;
  /** Settles when the process is gone. Never rejects. */
  readonly exited: Promise<ExitInfo>;
  readonly #child: ChildProcess;
  #stderr: Buffer[] = [];
  #stderrBytes = 0;
  #exitAsked = false;
  #gone = false;

  constructor(options: SpawnOptions) {
    this.name = options.name;
    const [command, ...args] = commandLine(options);
    if (living.size === 0) process.on('exit', endLiving);
    const { onMessage } = options;
    const child = spawn(command as string, args, {
      stdio: ['ignore', 'ignore', 'pipe', ...(onMessage === undefined ? [] : ['ipc' as const])],
      env: { ...process.env, ...options.env },
      detached: true,
    });
    this.#child = child;
    if (child.pid === undefined) throw cannotStart(child, options);
    living.add(child);
    this.pid = child.pid;
    child.stderr?.on('data', (data: Buffer) => this.#keep(data));
    if (onMessage !== undefined) child.on('message', onMessage);
    // The child cannot be reaped before this function returns, so its /proc entry is there.
    const pidFile = writePidFile(options.runDir, options.name, this.pid, options.command);
    this.exited = ended(child).then(([code, signal]) => {
      this.#gone = true;
      living.delete(child);
      if (living.size === 0) process.off('exit', endLiving);
      rmSync(pidFile, { force: true });
      const info = this.#exitInfo(code, signal, options.errorCode ?? 'qemu');
      options.onExit?.(info);
      return info;
    });
  }

  /** To one that was started with `onMessage`; one that is gone does not hear it. */
  send(message: string): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** The last 16 KiB of its stderr so far. */
  stderrTail(): string {
    return Buffer.concat(this.#stderr).subarray(-hostLimits.stderrBytes).toString('utf8');
  }

  /**
   * Ends the process and waits until it is gone: SIGTERM, after a deadline SIGKILL; or SIGKILL at
   * once. Safe to call more than once, and when it has ended already.
   *
   * @throws UnderstudyError `resources` when even SIGKILL did not end it in time.
   */
  async kill(
    signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
    { terminateMs = hostLimits.terminateMs }: { readonly terminateMs?: number } = {},
  ): Promise<ExitInfo> {
    if (!this.#gone) this.#exitAsked = true;
    if (signal === 'SIGTERM') {
      this.#child.kill('SIGTERM');
      const info = await within(this.exited, terminateMs);
      if (info !== undefined) return info;
    }
    this.#child.kill('SIGKILL');
    const info = await within(this.exited, hostLimits.killMs);
    if (info !== undefined) return info;
    throw new UnderstudyError(
      'resources',
      `Process ${this.pid} ('${this.name}') is still there ${hostLimits.killMs} ms after SIGKILL`,
      { hint: 'it waits for the operating system: look for a disk or file system that hangs' },
    );
  }

  /** How it ended, if it does within `ms`. */
  exitedWithin(ms: number): Promise<ExitInfo | undefined> {
    return within(this.exited, ms);
  }

  #keep(data: Buffer): void {
    this.#stderr.push(data);
    this.#stderrBytes += data.length;
    if (this.#stderrBytes <= 2 * hostLimits.stderrBytes) return;
    const tail = Buffer.concat(this.#stderr).subarray(-hostLimits.stderrBytes);
    this.#stderr = [tail];
    this.#stderrBytes = tail.length;
  }

  #exitInfo(code: number | null, signal: string | null, errorCode: ErrorCode): ExitInfo {
    const expected = this.#exitAsked;
    const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
    const stderr = this.stderrTail();
    const error = expected
      ? undefined
      : new UnderstudyError(errorCode, `Process '${this.name}' ended unexpectedly (${reason})`, {
          cause: new Error(stderr.trim() || 'it printed nothing to stderr'),
        });
    return { code, signal, expected, reason, stderr, error };
  }
}

/** Exit code and signal, once stderr has been read to its end (or somebody else holds it open). */
function ended(child: ChildProcess): Promise<[number | null, string | null]> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const done = (): void => {
        clearTimeout(timer);
        child.stderr?.destroy();
        resolve([code, signal]);
      };
      const timer = setTimeout(done, hostLimits.stderrDrainMs);
      child.once('close', done);
    });
  });
}

function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, undefined);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function cannotStart(child: ChildProcess, options: SpawnOptions): UnderstudyError {
  child.once('error', () => undefined); // told by the exception below
  if (living.size === 0) process.off('exit', endLiving);
  return new UnderstudyError('resources', `Cannot start '${options.command}'`, {
    hint: 'look for a limit on the number of processes or on memory (ulimit -a)',
  });
}

/**
 * The program behind what it is started with. The shell closes a gap: a node that died between the
 * fork and `setpriv` would not be noticed any more, so the child looks who its parent is.
 */
function commandLine({ command, args }: SpawnOptions): string[] {
  const program = findProgram(command);
  if (program === undefined) {
    throw new UnderstudyError('environment', `Cannot find the program '${command}'`, {
      hint: 'install it or give its path; `understudy doctor` lists what is needed',
    });
  }
  const placed = usualPriority();
  if (!parentDeathSignalWorks()) return [...placed, program, ...args];
  const guard = `[ "$PPID" = ${process.pid} ] || exit 1; exec "$@"`;
  const die = ['setpriv', '--pdeathsig', 'KILL', '--', 'sh', '-c', guard, 'sh'];
  return [...die, ...placed, program, ...args];
}

/** A node that raised its own priority does not pass that on to its machines. */
function usualPriority(): string[] {
  const priority = os.getPriority();
  return priority < 0 ? ['nice', '-n', String(-priority)] : [];
}

let deathSignal: boolean | undefined;

/** Whether this system's `setpriv` can have a child killed with its parent; asked once. */
export function parentDeathSignalWorks(): boolean {
  if (deathSignal !== undefined) return deathSignal;
  try {
    execFileSync('setpriv', ['--pdeathsig', 'KILL', '--', 'true'], { stdio: 'ignore' });
    deathSignal = true;
  } catch {
    deathSignal = false;
  }
  return deathSignal;
}

/** Absolute path of a program, by path or looked up in PATH; `undefined` when it is not there. */
export function findProgram(command: string): string | undefined {
  const directories = command.includes('/') ? [''] : (process.env.PATH ?? '').split(':');
  return directories
    .map((directory) => path.resolve(directory, command))
    .find((candidate) => {
      try {
        accessSync(candidate, constants.X_OK);
        return statSync(candidate).isFile();
      } catch {
        return false;
      }
    });
}

export { endStale, livingOwned } from './pid-files.ts';
