/** A server in a process of its own that tests may freeze, kill and start again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { freeze } from '../freeze.ts';

export interface ChildServerOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** Resolves when it serves. */
  readonly ready: (child: ChildProcess) => Promise<void>;
}

export class ChildServer {
  readonly #options: ChildServerOptions;
  #child: ChildProcess | undefined;
  #gone: Promise<number | null> = Promise.resolve(null);
  #said = '';

  constructor(options: ChildServerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { command, args, env, ready } = this.#options;
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#child = child;
    this.#said = '';
    child.stderr.on('data', (bytes: Buffer) => {
      this.#said += bytes.toString();
    });
    this.#gone = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    const died = this.#gone.then(() => {
      throw new Error(`${command} ended before it was ready: ${this.#said}`);
    });
    died.catch(() => undefined);
    await Promise.race([ready(child), died]);
  }

  /** What it wrote to stderr since it was started. */
  get said(): string {
    return this.#said;
  }

  /** Resolves when it is gone; `null` when a signal ended it. */
  get exitCode(): Promise<number | null> {
    return this.#gone;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  async freeze(): Promise<void> {
    if (this.#child?.pid !== undefined) await freeze(this.#child.pid);
  }

  thaw(): void {
    this.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#gone;
  }
}

/** Resolves with the first line that a child prints. */
export function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
  });
}
