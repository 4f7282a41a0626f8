/** Exit codes and the one place where an error becomes text. The table is in docs/errors.md. */
import { asError, type ErrorCode, UnderstudyError } from '../base/errors.ts';

export const exitCodes = { ok: 0, failed: 1, usage: 2, environment: 3 } as const;

const usageErrors: readonly ErrorCode[] = ['config'];
const environmentErrors: readonly ErrorCode[] = ['environment', 'rights', 'resources'];

/** Runs a verb; an operating error becomes a message and an exit code, a bug a stack trace. */
export async function runCommand(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof UnderstudyError)) {
      process.stderr.write(`${asError(thrown).stack ?? String(thrown)}\n`);
      process.exitCode = exitCodes.failed;
      return;
    }
    process.stderr.write(`understudy: ${thrown.describe()}\n`);
    if (usageErrors.includes(thrown.code)) process.exitCode = exitCodes.usage;
    else if (environmentErrors.includes(thrown.code)) process.exitCode = exitCodes.environment;
    else process.exitCode = exitCodes.failed;
  }
}
