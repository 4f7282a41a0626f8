/** The arbiter of the soak: a witness that is stopped, or killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { UnderstudyError } from '../../../src/base/errors.ts';
import { ownProgram } from '../../../src/host/own-program.ts';
import { endChild } from '../../../src/lab/child.ts';

export interface WitnessOptions {
  readonly address: string;
  readonly stateDir: string;
  readonly logFile: string;
}

export class Witness {
  readonly #options: WitnessOptions;
  #child: ChildProcess | undefined;

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const { address, stateDir, logFile } = this.#options;
    const log = fs.openSync(logFile, 'a');
    const program = ownProgram(import.meta.url, '../../../src/cli/main');
    const args = [...program, 'witness', '--listen', address, '--state', stateDir];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', log] });
    fs.closeSync(log);
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve()); // its one line, when it is ready
      child.once('exit', (code) => {
        const what = `The witness did not start: it ended with ${code}`;
        reject(new UnderstudyError('environment', what, { hint: `see ${logFile}` }));
      });
    });
  }

  /** Its connections stay, and nothing is answered. */
  stop(): void {
    this.#child?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child?.kill('SIGCONT');
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  async close(): Promise<void> {
    this.goOn();
    if (this.#child !== undefined) await endChild(this.#child);
  }
}
