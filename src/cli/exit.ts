/** Exit codes and the one place where an error becomes text. The table is in docs/errors.md. */
import { type Command, CommanderError } from 'commander';
import { asError, type ErrorCode, UnderstudyError } from '../base/errors.ts';

export const exitCodes = {
  ...{ ok: 0, failed: 1, usage: 2, environment: 3 },
  /** Of a verb that ends as a command of others does: it is none that they use. */
  notTheirs: 125,
} as const;

let failuresEndAs: number | undefined;

/** Whatever this process fails with from now on, it ends with `code`. */
export function failuresEndWith(code: number): void {
  failuresEndAs = code;
}

const usageErrors: readonly ErrorCode[] = ['config'];
const environmentErrors: readonly ErrorCode[] = ['environment', 'rights', 'resources'];

/** Lets errors of the command line come to `runCommand`: commander would end the process with 1. */
export function throwUsageErrors(command: Command): Command {
  command.exitOverride().showHelpAfterError('(add --help to see what is possible)');
  for (const verb of command.commands) throwUsageErrors(verb);
  return command;
}

/** Runs a verb; an operating error becomes a message and an exit code, a bug a stack trace. */
export async function runCommand(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      // Commander has printed the help that was asked for, or what is wrong.
      const { exitCode } = thrown;
      const isOwn = exitCode === exitCodes.ok || exitCode === exitCodes.notTheirs;
      process.exitCode = isOwn ? exitCode : exitCodes.usage;
      return;
    }
    if (!(thrown instanceof UnderstudyError)) {
      await say(asError(thrown).stack ?? String(thrown));
      process.exitCode = failuresEndAs ?? exitCodes.failed;
      return;
    }
    await say(`understudy: ${thrown.describe()}`);
    if (failuresEndAs !== undefined) process.exitCode = failuresEndAs;
    else if (usageErrors.includes(thrown.code)) process.exitCode = exitCodes.usage;
    else if (environmentErrors.includes(thrown.code)) process.exitCode = exitCodes.environment;
    else process.exitCode = exitCodes.failed;
  }
}

/** A program that ends is not kept by who does not read its last words. */
async function say(text: string): Promise<void> {
  const { takesWithin } = await import('../host/libc.ts');
  if (takesWithin(2, lastWordsMs)) process.stderr.write(`${text}\n`);
}

const lastWordsMs = 500;
