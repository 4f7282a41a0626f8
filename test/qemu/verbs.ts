// Pairs that verbs of the command line have made, started and asked as a person does.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { NodeStatus } from '../../src/node/control-server.ts';
import { loadPairConfig } from '../../src/node/pair-file/pair-config.ts';
import { askNode, connectControl } from '../../src/observe/control-client.ts';
import { program, root, runVerb } from '../cli/run.ts';
import { Terminal } from './harness/terminal.ts';
import { bootMs, waitFor } from './harness/wait.ts';

/** A verb that ends by itself. */
export const understudy = (...args: string[]) => runVerb(args, { timeout: bootMs });

/**
 * Verbs that stay in the foreground, each in a process of its own; their logs go to a directory.
 */
export class RunningVerbs {
  readonly #logDir: () => string;
  readonly #children: ChildProcess[] = [];

  constructor(logDir: () => string) {
    this.#logDir = logDir;
  }

  run(...args: string[]): ChildProcess {
    const log = fs.openSync(path.join(this.#logDir(), `run${this.#children.length}.log`), 'w');
    const child = spawn(process.execPath, [...program, ...args], {
      cwd: root,
      stdio: ['ignore', log, log],
    });
    fs.closeSync(log);
    this.#children.push(child);
    return child;
  }

  /** Ends them, and waits until they have ended. */
  async end(): Promise<void> {
    for (const child of this.#children) child.kill('SIGTERM');
    for (const child of this.#children) {
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      if (!hasEnded) await new Promise((resolve) => child.once('exit', resolve));
    }
  }
}

export const controlOf = (pairFile: string, name: string): string =>
  `${loadPairConfig(pairFile, name).self.runDir}/control`;

export async function untilState(pairFile: string, name: string, state: string): Promise<void> {
  await waitFor(`${name} to be ${state}`, async () => {
    const status = await askNode<NodeStatus>(controlOf(pairFile, name), 'status');
    return status.state === state || undefined;
  });
}

export async function consoleOf(pairFile: string, name: string): Promise<Terminal> {
  const socket = await connectControl(controlOf(pairFile, name));
  socket.on('error', () => undefined);
  const terminal = new Terminal((text) => socket.write(text));
  socket.on('data', (bytes: Buffer) => terminal.take(bytes));
  socket.write('{"command":"console"}\n');
  return terminal;
}
