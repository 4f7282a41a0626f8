/**
 * Names that tell whether their owner still lives: what a crashed demo left is found by its name.
 *
 * A process id alone is given out again; together with the start time of the process (clock ticks
 * since boot, field 22 of /proc/PID/stat) it names one process for as long as the machine runs.
 */
import { readProcStat } from '../host/pid-files.ts';

const NAME = /^understudy-demo-(\d+)-(\d+)(?:-[a-z]+)?$/;

/**
 * `understudy-demo-PID-STARTED` for a process, this one by default; with `-PART` behind it where
 * one owner makes several things of a kind.
 */
export function ownerName(pid: number = process.pid, part?: string): string {
  const name = `understudy-demo-${pid}-${readProcStat(pid)?.startTime ?? 0}`;
  return part === undefined ? name : `${name}-${part}`;
}

/** Whether the name was made by `ownerName` in a process that is no more. */
export function isStale(name: string): boolean {
  const [, pid, started] = NAME.exec(name) ?? [];
  return pid !== undefined && (readProcStat(Number(pid))?.startTime ?? '') !== started;
}
