/** Processes that a test stops and lets go on. */
import fs from 'node:fs';
import { vi } from 'vitest';
import { parseProcStat } from '../src/base/proc-stat.ts';
import { hangMs } from './time.ts';

/**
 * SIGSTOP, and resolves when all threads of the process stand still: on a busy machine the others
 * run on, and may answer, until one of them has got to see the signal.
 */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await vi.waitFor(
    () => {
      const running = threadStates(pid).filter((state) => state !== 'T');
      if (running.length > 0) throw new Error(`threads of ${pid} go on: ${running.join(' ')}`);
    },
    { timeout: hangMs, interval: 2 },
  );
}

export function thaw(pid: number): void {
  process.kill(pid, 'SIGCONT');
}

function threadStates(pid: number): string[] {
  return fs.readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    return parseProcStat(stat)?.state ?? '?';
  });
}
