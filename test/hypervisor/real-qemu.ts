/** Small real machines for the tests of this folder: firmware only, 32 MiB, no disk, no network. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type OwnedProcess, spawnOwned } from '../../src/host/processes.ts';
import { Monitor } from '../../src/hypervisor/qemu/monitor.ts';

/** Memory when there is some, so that a log does not wait for a disk. */
export function makeRunDir(): string {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  return mkdtempSync(path.join(parent, 'understudy-test-'));
}

export function removeRunDir(runDir: string): void {
  rmSync(runDir, { recursive: true, force: true });
}

export interface RealQemu {
  readonly child: OwnedProcess;
  readonly monitor: Monitor;
}

export async function startQemu(runDir: string, name: string, args: string[]): Promise<RealQemu> {
  const socket = path.join(runDir, `${name}.qmp`);
  const child = spawnOwned({
    name,
    command: 'qemu-system-x86_64',
    args: ['-nodefaults', '-display', 'none', '-qmp', `unix:${socket},server=on,wait=off`, ...args],
    runDir,
  });
  try {
    return { child, monitor: await Monitor.connect({ path: socket, deadlineMs: 15_000 }) };
  } catch (error) {
    await child.kill('SIGKILL');
    throw new Error(`QEMU did not start: ${child.stderrTail()}`, { cause: error });
  }
}

export async function stopQemu({ child, monitor }: RealQemu): Promise<void> {
  monitor.close();
  await child.kill('SIGKILL');
}

/** Arguments of a firmware-only machine that records to, or replays from, `log`. */
export function firmwareMachine(mode: 'record' | 'replay', log: string): string[] {
  return ['-machine', 'pc', '-m', '32', '-icount', `shift=auto,rr=${mode},rrfile=${log}`];
}

export async function saveDeviceState({ monitor }: RealQemu, file: string): Promise<Buffer> {
  await monitor.execute('xen-save-devices-state', { filename: file, live: false });
  return readFileSync(file);
}
