/** Waiting for what cannot be awaited. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Deadlines that only a machine that hangs reaches, however busy this one is: a test judges what
 * was promised, and how fast it came is for a benchmark.
 */
export const bootMs = 300_000;
export const answerMs = 180_000;
/** Asking is work, too, for this process and for a node that comes before its machine. */
const pollMs = 20;

/** Polls what cannot be awaited. Throws, with the last answer, when `probe` stays undefined. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  deadlineMs: number = answerMs,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (thrown) {
      last = thrown;
    }
    await sleep(pollMs);
  }
  throw new Error(`waited ${deadlineMs} ms for ${what}`, { cause: last });
}

/**
 * Waits until something that grows is as large as that. Throws when it stands still for too long.
 */
export async function waitForCount(
  what: string,
  count: () => number,
  wanted: number,
  standstillMs: number = answerMs,
): Promise<void> {
  for (let at = count(); at < wanted; ) {
    const before = at;
    await waitFor(
      `${what}: ${before} of ${wanted}`,
      () => count() > before || undefined,
      standstillMs,
    );
    at = count();
  }
}
