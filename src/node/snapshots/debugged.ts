/**
 * A prepared machine that stands still for a debugger (QEMU's GDB stub, gdbstub.c), on a unix socket.
 *
 * It is a copy: what the debugger changes, and what the machine does when it is told to go on, is lost at
 * its end. Going on it lives from there, and does not follow its log any more.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import { continueClock } from '../../hypervisor/clock.ts';
import type { VmConfig } from '../../hypervisor/config.ts';
import { parseDeviceState, releaseHalt, replaySection } from '../../hypervisor/device-state.ts';
import { QemuInstance } from '../../hypervisor/instance.ts';
import { copySparse } from '../../hypervisor/sparse-copy.ts';
import { Storage } from '../../hypervisor/storage.ts';
import { type PreparedMachine, preparedPaths } from './prepared.ts';

export interface DebugOptions {
  readonly vm: VmConfig;
  readonly machine: PreparedMachine;
  /** Path of the socket, which must not be there. */
  readonly socket: string;
  /** On a tmpfs, with a short path and room for the guest's memory. */
  readonly runDir: string;
}

export interface Debugged {
  /** Resolves when QEMU has ended: the debugger may have told it to. */
  readonly exited: Promise<void>;
  end(): Promise<void>;
}

/** The longest path of a unix socket, without its terminating zero (sys/un.h). */
const socketPathBytes = 107;

/** Throws `config` for a socket that cannot be. To be called before the past is executed. */
export function checkGdbSocket(socket: string): void {
  const absolute = path.resolve(socket);
  const refuse = (why: string): never => {
    throw new UnderstudyError('config', `No debugger can connect to '${socket}': ${why}`, {
      hint: 'name a short path such as /tmp/past.gdb',
    });
  };
  const bytes = Buffer.byteLength(absolute);
  if (bytes > socketPathBytes)
    refuse(`its path has ${bytes} bytes, ${socketPathBytes} are possible`);
  // QEMU's monitor takes the path as a word of an option.
  if (/[\s,"\\]/.test(absolute)) refuse('its path has a blank, a comma, a quote or a backslash');
}

/** Throws `qemu` when it does not come up; nothing is left running then. */
export async function openToDebugger(options: DebugOptions): Promise<Debugged> {
  const { vm, machine, socket, runDir } = options;
  const { ram, disk, state } = preparedPaths(machine.dir);
  const ramFile = path.join(runDir, 'debugged.ram');
  await copySparse(ram, ramFile);
  const storage = await Storage.start({
    disks: vm.disks.map((each) => ({ ...each, path: disk(each.id) })),
    dir: path.join(runDir, 'debugged-storage'),
    pidDir: runDir,
  });
  let instance: QemuInstance | undefined;
  const end = async (): Promise<void> => {
    await instance?.destroy();
    await storage.stop();
  };
  try {
    instance = await QemuInstance.start({
      ...{ vm, ramFile, pidDir: runDir, name: 'debugged', mode: 'record', incoming: true },
      dir: path.join(runDir, 'debugged'),
      logFile: path.join(runDir, 'debugged.log'),
      nbdSocket: storage.nbdSocket,
    });
    for (const stream of [instance.console, instance.pad, ...instance.nics]) stream.resume();
    const deviceState = await fs.promises.readFile(state);
    const { clocks } = replaySection(parseDeviceState(deviceState));
    await instance.loadDeviceState(continueClock(releaseHalt(deviceState), clocks[1]));
    const server = `gdbserver unix:${path.resolve(socket)},server=on,wait=off`;
    const said = await instance.monitor.execute<string>('human-monitor-command', {
      'command-line': server,
    });
    // "Waiting for gdb connection on device '...'"
    if (!said.startsWith('Waiting')) {
      throw new UnderstudyError('qemu', `QEMU opens no socket for a debugger: ${said.trim()}`);
    }
    return { exited: instance.exited.then(() => undefined), end };
  } catch (error) {
    await end();
    throw error;
  }
}
