/** `understudy group` as a person runs it: each verb a process of its own. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { ownProgram } from '../../../src/host/own-program.ts';

export class GroupVerb {
  /** The code that it ended with, and what it complained of. */
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;

  /** `onLine`: gets the lines that it prints. */
  constructor(args: readonly string[], onLine: (line: string) => void = () => undefined) {
    const program = ownProgram(import.meta.url, '../../../src/cli/main');
    this.#child = spawn(process.execPath, [...program, 'group', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    this.#child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-2000);
    });
    createInterface({ input: this.#child.stdout }).on('line', onLine);
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => resolve({ code, stderr }));
    });
  }

  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(signal);
  }
}
