/** What `/proc/PID/stat` says (proc(5)), of a process or of one of its threads. */

export interface ProcStat {
  /** R, S, D, Z, ... */
  readonly state: string;
  /** Process id. */
  readonly parent: number;
  /**
   * Clock ticks since boot, as text; with the pid it names one process for as long as the machine
   * runs.
   */
  readonly startTime: string;
  /**
   * Processor time so far, of all threads of a process, in clock ticks (a hundredth of a second).
   */
  readonly cpuTicks: number;
  /** Number of the processor it ran on last. */
  readonly processor: number;
}

/** Returns `undefined` for a text that is not whole. */
export function parseProcStat(text: string): ProcStat | undefined {
  // Field 2 is the program's name in parentheses and may contain anything; 3 is the state.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): string | undefined => fields[number - 3];
  const [state, startTime] = [field(3), field(22)];
  if (state === undefined || startTime === undefined) return undefined;
  const parent = Number(field(4));
  const cpuTicks = Number(field(14)) + Number(field(15));
  return { state, parent, startTime, cpuTicks, processor: Number(field(39)) };
}

/** Whether it has ended, and only waits for its parent to hear of it. */
export const hasEnded = ({ state }: ProcStat): boolean => state === 'Z' || state === 'X';

/** What `/proc/PID/schedstat` and `/proc/PID/task/ID/schedstat` say of a thread, milliseconds. */
export interface SchedStat {
  /** On a processor. */
  readonly ranMs: number;
  /** In a queue for one. */
  readonly queuedMs: number;
}

/** Returns `undefined` for a text that is not whole. */
export function parseSchedStat(text: string): SchedStat | undefined {
  // Nanoseconds on a processor, nanoseconds in a queue, number of turns.
  const [ran, queued] = text.split(' ').map(Number);
  if (ran === undefined || queued === undefined) return undefined;
  return { ranMs: ran / 1e6, queuedMs: queued / 1e6 };
}
