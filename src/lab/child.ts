/** Ending a child process: politely, then for certain. */
import type { ChildProcess } from 'node:child_process';
import { demoLimits } from './limits.ts';

/** Resolves when the child is gone. Sends SIGTERM, and SIGKILL if that did not help. */
export function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), demoLimits.childEndMs);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
