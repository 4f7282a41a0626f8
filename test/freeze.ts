/** Processes that a test stops and lets go on. */
import { vi } from 'vitest';
import { lookAtThreads } from '../src/host/threads.ts';
import { hangMs } from './time.ts';

/**
 * SIGSTOP, and resolves when all threads of the process stand still: on a busy machine the others
 * run on, and may answer, until one of them has got to see the signal.
 */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await vi.waitFor(
    async () => {
      const running = (await lookAtThreads(pid, 0)).filter(({ state }) => state !== 'T');
      if (running.length > 0) throw new Error(`threads of ${pid} go on: ${running.length}`);
    },
    { timeout: hangMs, interval: 2 },
  );
}

export function thaw(pid: number): void {
  process.kill(pid, 'SIGCONT');
}
