/**
 * The processes that a node has started, by what they are. Known by their parent and by their
 * command line: a run directory that was moved away has no pid files.
 */
import fs from 'node:fs';
import { readProcStat } from '../../../src/host/pid-files.ts';

const programs = {
  storage: /qemu-storage-daemon/,
  /** The machine of a primary: one that was booted, or taken over. */
  machine: /qemu-system\S* .*\/(recorder|successor)\//,
  replayer: /qemu-system\S* .*\/replayer\d+\//,
  successor: /qemu-system\S* .*\/successor\//,
} as const;

export type Part = keyof typeof programs;

/** The newest one; `undefined`: it has none. */
export function partOf(nodePid: number, part: Part): number | undefined {
  return childrenOf(nodePid)
    .filter(({ command }) => programs[part].test(command))
    .at(-1)?.pid;
}

function childrenOf(parent: number): { pid: number; command: string }[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((one, other) => one - other)
    .flatMap((pid) => {
      try {
        if (readProcStat(pid)?.parent !== parent) return [];
        const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return [{ pid, command }];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}
