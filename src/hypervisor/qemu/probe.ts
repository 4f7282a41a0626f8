/** A process that is started for a moment, to find out what it can do. */
import path from 'node:path';
import { findProgram, type OwnedProcess, spawnOwned } from '../../host/processes.ts';
import { Monitor } from './monitor.ts';

const startMs = 20_000;

export interface ProbeStart {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** For its process id. */
  readonly dir: string;
  /** Where its monitor listens. */
  readonly socket: string;
}

/** A process, and its monitor. */
export interface Probe {
  readonly child: OwnedProcess;
  readonly monitor: Monitor;
}

/**
 * Starts a process, which is added to `children`, and connects to its monitor.
 *
 * @throws what it said on stderr, if it ends instead.
 */
export async function startProbe(start: ProbeStart, children: OwnedProcess[]): Promise<Probe> {
  const { name, command, args, dir, socket } = start;
  if (findProgram(command) === undefined) throw new Error(`there is no program '${command}'`);
  const child = spawnOwned({ name, command, args, runDir: dir });
  children.push(child);
  const gone = new AbortController();
  void child.exited.then(() => gone.abort());
  try {
    const { signal } = gone;
    return { child, monitor: await Monitor.connect({ path: socket, deadlineMs: startMs, signal }) };
  } catch (thrown) {
    if (!gone.signal.aborted) throw thrown;
    const { stderr, reason } = await child.exited;
    throw new Error(stderr.trim() || `it ended with ${reason}`);
  }
}

/** Arguments of a small stopped machine that writes or reads the log `dir/log`. */
export function probeMachine(mode: 'record' | 'replay', dir: string, socket: string): string[] {
  return [
    ['-no-user-config', '-nodefaults', '-display', 'none', '-machine', 'pc', '-m', '32M', '-S'],
    ['-icount', `shift=auto,rr=${mode},rrfile=${path.join(dir, 'log')}`],
    ['-qmp', `unix:${socket},server=on,wait=off`],
  ].flat();
}
