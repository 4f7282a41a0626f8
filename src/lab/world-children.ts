/** The programs that were started in a world. */
import { spawn } from 'node:child_process';
import { UnderstudyError } from '../base/errors.ts';
import { endChild } from './child.ts';
import type { WorldChild } from './world.ts';

export class WorldChildren {
  readonly #running = new Set<WorldChild>();
  readonly #close: () => Promise<void>;
  #closed: Promise<void> | undefined;

  /** `close` takes the world down; it is called once, when all programs have ended. */
  constructor(close: () => Promise<void>) {
    this.#close = close;
  }

  /**
   * Starts a program with piped standard streams, `through` a command line that is put in front of
   * it. Throws `environment` in a closed world.
   */
  spawn(command: string, args: readonly string[], through: readonly string[] = []): WorldChild {
    if (this.#closed !== undefined) {
      throw new UnderstudyError('environment', `Cannot start '${command}': the world is closed`);
    }
    const [program = command, ...rest] = [...through, command, ...args];
    const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    return child;
  }

  /** Ends them all, and the world. Safe to call more than once. */
  close(): Promise<void> {
    this.#closed ??= this.#endAll();
    return this.#closed;
  }

  async #endAll(): Promise<void> {
    await Promise.all([...this.#running].map(endChild));
    await this.#close();
  }
}
