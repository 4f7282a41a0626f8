/** The monitor of a process that was just started, for as long as it lives. */
import { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { ExitInfo, OwnedProcess } from '../../host/processes.ts';
import { describeThreads, lookAtThreads } from '../../host/threads.ts';
import { hypervisorLimits } from '../limits.ts';
import { Monitor } from './monitor.ts';

/**
 * Connects. A process that ends instead is not waited for, and what is thrown is `whyEnded`: what
 * it said on its stderr tells more than its monitor. Of one that lives and does not answer it is
 * told what its threads do.
 */
export async function monitorOf(
  child: OwnedProcess,
  path: string,
  whyEnded: (info: ExitInfo) => UnderstudyError,
  deadlineMs: number = limits.qemuStartMs,
): Promise<Monitor> {
  const gone = new AbortController();
  void child.exited.then((info) => gone.abort(whyEnded(info)));
  try {
    return await Monitor.connect({
      path,
      deadlineMs,
      signal: gone.signal,
    });
  } catch (thrown) {
    // The connection breaks first, then the process is gone.
    const info = await child.exitedWithin(hypervisorLimits.lastWordsMs);
    throw info === undefined ? await withThreads(thrown, child) : whyEnded(info);
  }
}

async function withThreads(thrown: unknown, { pid }: OwnedProcess): Promise<unknown> {
  if (!(thrown instanceof UnderstudyError)) return thrown;
  const { code, message, hint, cause } = thrown;
  const looks = await lookAtThreads(pid, limits.stallLookMs);
  const threads = new Error(describeThreads(looks, limits.stallLookMs), { cause });
  return new UnderstudyError(code, message, {
    cause: threads,
    ...(hint === undefined ? {} : { hint }),
  });
}
