/** A new directory that is whole, or empty: also when a person changes their mind. */
import { fillNewDirectory } from '../../restore/new-directory.ts';
import { exitCodes } from '../exit.ts';

const endingSignals = ['SIGINT', 'SIGTERM'] as const;

/**
 * As `fillNewDirectory`; `fill` throws when its signal says so. When Ctrl-C or SIGTERM was why,
 * that is told with `outcome` ("nothing is imported"), and nothing is returned.
 */
export async function filledUnlessInterrupted<T>(
  dir: string,
  outcome: string,
  fill: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  for (const signal of endingSignals) process.once(signal, interrupt);
  try {
    return await fillNewDirectory(dir, () => fill(interrupted.signal));
  } catch (thrown) {
    if (!interrupted.signal.aborted) throw thrown;
    process.stderr.write(`understudy: interrupted, ${outcome}\n`);
    process.exitCode = exitCodes.failed;
    return undefined;
  } finally {
    for (const signal of endingSignals) process.off(signal, interrupt);
  }
}
