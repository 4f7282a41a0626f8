/**
 * The process of a node: started by this host, or found running.
 *
 * Contract
 *  1. The node is in a session of its own, and nothing ends it but itself, `stop` and `kill`: it
 *     goes on when this host is killed.
 *  2. A signal goes only to the process that was started or found, known by its start time.
 *  3. `onEnded` is called once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { oneLine } from '../base/text.ts';
import { ownProgram } from '../host/own-program.ts';
import { processStartTime } from '../host/pid-files.ts';
import type { NodeStatus } from '../node/control-server.ts';
import { askNode } from '../observe/control-client.ts';
import type { Ending } from './decisions/effects.ts';
import { controllerLimits } from './limits.ts';
import { NodeOutput } from './node-output.ts';

export interface HostedNodeOptions {
  /** Its control socket. */
  readonly control: string;
  /** The pipe of its log. */
  readonly output: string;
  readonly onLine: (line: string) => void;
  readonly onEnded: (ending: Ending) => void;
}

/** A process that lives, and is no child of this one. */
export interface FoundProcess {
  readonly pid: number;
  /** A host has started it: its log comes through the pipe. */
  readonly isHosted: boolean;
}

export class HostedNode {
  readonly pid: number;
  readonly #options: HostedNodeOptions;
  readonly #output: NodeOutput;
  readonly #startTime: string | undefined;
  #look: NodeJS.Timeout | undefined;
  #status: NodeStatus | undefined;
  #asking: { readonly sinceMs: number; readonly asked: Promise<void> } | undefined;
  #isOver = false;

  private constructor(options: HostedNodeOptions, output: NodeOutput, pid: number) {
    this.#options = options;
    this.#output = output;
    this.pid = pid;
    this.#startTime = processStartTime(pid);
  }

  /** Throws what the operating system refuses with. */
  static start(
    options: HostedNodeOptions,
    { pairFile, name }: { readonly pairFile: string; readonly name: string },
  ): HostedNode {
    const output = new NodeOutput(options.output, options.onLine);
    const log = output.writer();
    const program = ownProgram(import.meta.url, '../cli/main');
    const args = [...program, 'node', '--pair', pairFile, '--name', name];
    let child: ChildProcess | undefined;
    try {
      child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', log], detached: true });
    } finally {
      fs.closeSync(log);
      if (child?.pid === undefined) output.close();
    }
    if (child.pid === undefined) {
      child.once('error', () => undefined); // told by the exception below
      throw new Error(`cannot start '${process.execPath}': look for a limit on processes (ulimit)`);
    }
    const node = new HostedNode(options, output, child.pid);
    child.once('exit', (code, signal) => void node.#exited(code, signal));
    return node;
  }

  static adopt(options: HostedNodeOptions, { pid, isHosted }: FoundProcess): HostedNode {
    const node = new HostedNode(options, new NodeOutput(options.output, options.onLine), pid);
    node.#look = setInterval(() => {
      if (!node.#isAlive()) void node.#vanished(isHosted);
    }, controllerLimits.adoptedLookMs);
    return node;
  }

  get control(): string {
    return this.#options.control;
  }

  /** What it said of itself, if it answers. */
  get status(): NodeStatus | undefined {
    return this.isSilent ? undefined : this.#status;
  }

  /** It was asked, and has not answered for long. */
  get isSilent(): boolean {
    const asking = this.#asking;
    return asking !== undefined && performance.now() - asking.sinceMs > controllerLimits.answerMs;
  }

  /** Asks what it does; waits `answerMs` at most. One that hangs is asked once only. */
  async refresh(): Promise<void> {
    if (this.#isOver) return;
    this.#asking ??= { sinceMs: performance.now(), asked: this.#ask() };
    const late = sleep(controllerLimits.answerMs, undefined, { ref: false });
    await Promise.race([this.#asking.asked, late]);
  }

  async #ask(): Promise<void> {
    try {
      const status = await askNode<NodeStatus>(this.#options.control, 'status');
      this.#status = status.pid === this.pid ? status : undefined;
    } catch {
      this.#status = undefined; // it has not begun to listen, or is about to end
    } finally {
      this.#asking = undefined;
    }
  }

  stop(): void {
    this.#signal('SIGTERM');
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  /** The node goes on without this host. */
  leave(): void {
    this.#isOver = true;
    clearInterval(this.#look);
    this.#output.close();
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      if (this.#isAlive()) process.kill(this.pid, signal);
    } catch {
      // It has just ended.
    }
  }

  #isAlive(): boolean {
    return this.#startTime !== undefined && processStartTime(this.pid) === this.#startTime;
  }

  async #exited(code: number | null, signal: string | null): Promise<void> {
    if (this.#isOver) return;
    await this.#output.drained();
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
    this.#ended({ code: code ?? undefined, reason: this.#withWords(how) });
  }

  /** Nobody has its exit code. One that was told to end has cleaned up and does not complain. */
  async #vanished(isHosted: boolean): Promise<void> {
    clearInterval(this.#look);
    await this.#output.drained();
    const isTidy = !fs.existsSync(this.#options.control) && !this.#output.hasComplained;
    const code = isHosted && isTidy ? 0 : undefined;
    this.#ended({ code, reason: this.#withWords('its process is gone') });
  }

  #withWords(how: string): string {
    const words = oneLine(this.#output.lastWords.trim());
    return words === '' ? how : `${how}: ${words.slice(0, wordsMax)}`;
  }

  #ended(ending: Ending): void {
    if (this.#isOver) return;
    this.leave();
    this.#options.onEnded(ending);
  }
}

/** Of what it said last, in a status. */
const wordsMax = 600;
