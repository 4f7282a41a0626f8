/** One node of the demo: a process of its own, watched through its control socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { filter, firstValueFrom, Subject, timeout } from 'rxjs';
import { UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { ownProgram } from '../host/own-program.ts';
import { livingOwned, parentDeathSignalWorks } from '../host/processes.ts';
import type { NodeStatus } from '../node/control-server.ts';
import { askNode, type WatchEvent } from '../observe/control-client.ts';
import { watchNode } from '../observe/watch-node.ts';
import { demoLimits } from './limits.ts';
import { type ProcessorSeconds, processorSeconds } from './processor-time.ts';

export interface NodeProcessOptions {
  readonly name: string;
  readonly pairFile: string;
  readonly runDir: string;
  /** Where what the node logs is appended. */
  readonly logFile: string;
  /** Put in front of the node's command, such as `ip netns exec NAME`. @default nothing */
  readonly commandPrefix?: readonly string[];
  /** Another checkout of this project, whose program is started. @default this one */
  readonly checkout?: string | undefined;
  /** Directory of a prepared machine to go on from. @default it boots */
  readonly from?: string;
  /** Not in the foreground of this terminal: Ctrl-C is for somebody else. @default it is */
  readonly isApart?: boolean;
  /** It claims a term whoever had the last one. @default false */
  readonly startAnew?: boolean;
}

export class NodeProcess {
  readonly name: string;
  /** All events of this process, from when its control socket answered. */
  readonly events = new Subject<WatchEvent>();
  readonly exited: Promise<number | null>;
  readonly #options: NodeProcessOptions;
  readonly #child: ChildProcess;
  #isRunning = true;

  constructor(options: NodeProcessOptions) {
    this.#options = options;
    this.name = options.name;
    const log = fs.openSync(options.logFile, 'a');
    const { checkout } = options;
    const program =
      checkout === undefined
        ? ownProgram(import.meta.url, '../cli/main')
        : ownProgram(pathToFileURL(`${path.resolve(checkout)}/`).href, 'src/cli/main');
    const from = options.from === undefined ? [] : ['--from', options.from];
    const anew = options.startAnew === true ? ['--start-anew'] : [];
    const own = ['--pair', options.pairFile, '--name', options.name, ...from, ...anew];
    const args = [...program, 'node', ...own];
    // A demo that is killed takes its nodes with it, and they their machines.
    const dying = parentDeathSignalWorks() ? ['setpriv', '--pdeathsig', 'TERM', '--'] : [];
    const prefix = options.commandPrefix ?? [];
    const [command = '', ...rest] = [...dying, ...prefix, process.execPath, ...args];
    const { isApart = false } = options;
    this.#child = spawn(command, rest, { stdio: ['ignore', 'ignore', log], detached: isApart });
    fs.closeSync(log);
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code) => {
        this.#isRunning = false;
        resolve(code);
      });
    });
    void this.#watch();
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get control(): string {
    return `${this.#options.runDir}/control`;
  }

  /** Used so far. */
  processorSeconds(): ProcessorSeconds {
    return processorSeconds(this.#options.runDir);
  }

  async status(): Promise<NodeStatus> {
    return askNode<NodeStatus>(this.control, 'status');
  }

  /** Resolves at the next event that `wanted` accepts. Throws when none comes in time. */
  async next<T extends WatchEvent>(
    wanted: (event: WatchEvent) => event is T,
    deadlineMs: number = demoLimits.nodeEventMs,
  ): Promise<T> {
    try {
      return await firstValueFrom(this.events.pipe(filter(wanted), timeout(deadlineMs)));
    } catch {
      throw new UnderstudyError('environment', `Node ${this.name} did not get on in time`, {
        cause: new Error(tail(this.#options.logFile)),
      });
    }
  }

  /** Waits until the node is in a state, now or later. */
  async until(state: string, deadlineMs: number = demoLimits.nodeEventMs): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    while (performance.now() < deadline && this.#isRunning) {
      const status = await this.status().catch(() => undefined);
      if (status?.state === state) return;
      await sleep(demoLimits.nodePollMs);
    }
    throw new UnderstudyError('environment', `Node ${this.name} did not become '${state}'`, {
      cause: new Error(tail(this.#options.logFile)),
    });
  }

  /** SIGKILL to the machine and then to the node, at once. Returns the instant, ms since 1970. */
  async killWithMachine(): Promise<number> {
    const pids = livingOwned(`${this.#options.runDir}/pids`)
      .filter(({ command }) => /qemu-system/.test(command))
      .map(({ pid }) => pid);
    const at = performance.timeOrigin + performance.now();
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    this.#child.kill('SIGKILL');
    await this.exited;
    return at;
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#child.kill('SIGTERM');
    const late = sleep(limits.nodeStopMs, 'late', { ref: false });
    if ((await Promise.race([this.exited, late])) === 'late') this.#child.kill('SIGKILL');
    await this.exited;
  }

  async #watch(): Promise<void> {
    while (this.#isRunning) {
      await new Promise<void>((resolve) => {
        watchNode(this.control).subscribe({
          next: (event) => this.events.next(event),
          error: () => resolve(),
          complete: () => resolve(),
        });
      });
      await sleep(demoLimits.nodePollMs);
    }
    this.events.complete();
  }
}

function tail(file: string): string {
  return fs.readFileSync(file, 'utf8').trim().split('\n').slice(-5).join('\n');
}
