/**
 * Threads of our own: a module that runs beside the main thread, and how much of the processors it
 * gets.
 */
import fs from 'node:fs';
import os from 'node:os';
import { Worker } from 'node:worker_threads';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const nicestPriority = 19;

/**
 * Starts the module `name` beside the module `from`, a file URL, as a thread; compiled, or in
 * development through tsx. `data` is cloned and is its `workerData`.
 */
export function startThread(from: string, name: string, data: unknown): Worker {
  const file = new URL(`./${name}.${extension}`, from);
  const options = { workerData: data, execArgv: [], name };
  if (extension === 'js') return new Worker(file, options);
  // Node 20 passes no loader on to a thread: the thread begins with it.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const code = `import {register} from ${loader}; register(); await import('${file.href}');`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), options);
}

/**
 * Lets the calling thread, and no other one of this process, stand back by so many steps of
 * niceness. Returns whether the kernel did.
 */
export function standBack(steps: number): boolean {
  try {
    const threadId = Number(fs.readlinkSync('/proc/thread-self').split('/').at(-1));
    // To Linux a thread's id is as good as a process's.
    os.setPriority(threadId, Math.min(nicestPriority, os.getPriority(threadId) + steps));
    return true;
  } catch {
    return false; // without /proc it is served like any other thread
  }
}
