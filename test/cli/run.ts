// A verb of the command line, run as a person does: the real program, in a process of its own. Or
// in this process, which takes no time, where it only says something and changes nothing.
import { execFile } from 'node:child_process';
import { vi } from 'vitest';
import { exitCodes, runCommand } from '../../src/cli/exit.ts';
import { understudyProgram } from '../../src/cli/program.ts';
import { compiled, root } from '../compiled/program.ts';

export { root };

/** What node is given to run the program. */
export const program = [compiled('src/cli/main.ts')];

export interface Ended {
  /** -1: it was killed, also because it took too long. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  /** Milliseconds; 0 waits for ever. */
  readonly timeout?: number;
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs it, with its arguments. */
  readonly as?: readonly string[];
}

/** Runs a verb that ends by itself. */
export function runVerb(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { timeout = 0, env = {}, as = [] } = options;
  const [file = '', ...rest] = [...as, process.execPath, ...program, ...args];
  const how = { cwd: root, timeout, env: { ...process.env, ...env } };
  return new Promise((resolve) => {
    execFile(file, rest, how, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

/**
 * The same in this process, one at a time. The verb must neither wait for signals nor change the
 * process.
 */
export async function runHere(args: readonly string[]): Promise<Ended> {
  const printed = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      printed[name] += text.toString();
      return true;
    }),
  );
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    await runCommand(() => understudyProgram().parseAsync(args, { from: 'user' }));
    return { code: Number(process.exitCode ?? exitCodes.ok), ...printed };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}
