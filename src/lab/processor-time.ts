/**
 * What a node costs in processor time: its own process, the machine that it runs, and what serves
 * its disks.
 */

import { type PidFile, readProcStat } from '../host/pid-files.ts';
import { livingOwned } from '../host/processes.ts';

/** Linux counts a process's time in these (`sysconf(_SC_CLK_TCK)`, 100 on every port). */
export const ticksPerSecond = 100;

/** Seconds since the processes began, all threads, in steps of 10 ms. */
export interface ProcessorSeconds {
  readonly node: number;
  readonly machine: number;
  readonly disks: number;
}

/** Of the node that uses this run directory, as long as it has a machine; NaN otherwise. */
export function processorSeconds(runDir: string): ProcessorSeconds {
  const owned = livingOwned(`${runDir}/pids`);
  return {
    node: seconds(owned[0]?.node.pid),
    machine: secondsOf(owned, /qemu-system/),
    disks: secondsOf(owned, /qemu-storage-daemon/),
  };
}

/** The same of a QEMU without a node, whose pid file is in `pidDir`. */
export const machineSeconds = (pidDir: string): number =>
  secondsOf(livingOwned(pidDir), /qemu-system/);

const secondsOf = (owned: readonly PidFile[], program: RegExp): number =>
  owned
    .filter(({ command }) => program.test(command))
    .reduce((sum, { pid }) => sum + seconds(pid), 0);

function seconds(pid: number | undefined): number {
  const ticks = pid === undefined ? undefined : readProcStat(pid)?.cpuTicks;
  return (ticks ?? Number.NaN) / ticksPerSecond;
}
