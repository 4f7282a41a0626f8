/** The monitor of a process that was just started, for as long as it lives. */
import type { UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { ExitInfo, OwnedProcess } from '../../host/processes.ts';
import { hypervisorLimits } from '../limits.ts';
import { Monitor } from './monitor.ts';

/**
 * Connects. A process that ends instead is not waited for, and what is thrown is `whyEnded`: what
 * it said on its stderr tells more than its monitor.
 */
export async function monitorOf(
  child: OwnedProcess,
  path: string,
  whyEnded: (info: ExitInfo) => UnderstudyError,
): Promise<Monitor> {
  const gone = new AbortController();
  void child.exited.then((info) => gone.abort(whyEnded(info)));
  try {
    return await Monitor.connect({
      path,
      deadlineMs: limits.qemuStartMs,
      signal: gone.signal,
    });
  } catch (thrown) {
    // The connection breaks first, then the process is gone.
    const info = await child.exitedWithin(hypervisorLimits.lastWordsMs);
    throw info === undefined ? thrown : whyEnded(info);
  }
}
