/**
 * Names that tell whether their owner still lives: what a crashed demo left is found by its name.
 *
 * A process id alone is given out again; together with the start time of the process (clock ticks
 * since boot, field 22 of /proc/PID/stat) it names one process for as long as the machine runs.
 */
import { readFileSync } from 'node:fs';
import { parseProcStat } from '../base/proc-stat.ts';

const NAME = /^understudy-demo-(\d+)-(\d+)(?:-[a-z]+)?$/;

/**
 * `understudy-demo-PID-STARTED` for a process, this one by default; with `-PART` behind it where
 * one owner makes several things of a kind.
 */
export function ownerName(pid: number = process.pid, part?: string): string {
  const name = `understudy-demo-${pid}-${startTicks(pid) ?? 0}`;
  return part === undefined ? name : `${name}-${part}`;
}

/** Whether the name was made by `ownerName` in a process that is no more. */
export function isStale(name: string): boolean {
  const [, pid, started] = NAME.exec(name) ?? [];
  return pid !== undefined && (startTicks(Number(pid)) ?? '') !== started;
}

function startTicks(pid: number): string | undefined {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.startTime;
  } catch {
    return undefined;
  }
}
