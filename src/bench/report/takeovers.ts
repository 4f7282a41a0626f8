/** Takeovers as the reports see them: their steps, and how long they took. */
import type { TakeoverRun } from '../results.ts';

/** The guest that shows whether memory matters. */
export const largeMemoryBytes = 2 * 2 ** 30;

/** In the order of their happening. */
export const takeoverSteps = [
  { name: 'detect', of: (run: TakeoverRun): number => run.detectMs },
  { name: 'drain and prove', of: (run: TakeoverRun): number => run.drainMs },
  { name: 'load', of: (run: TakeoverRun): number => run.loadMs },
  { name: 'first output', of: (run: TakeoverRun): number => run.firstOutputMs },
] as const;

/** Kill, or command, to the first output that the outside got, milliseconds. */
export const takeoverMs = (run: TakeoverRun): number =>
  takeoverSteps.reduce((sum, { of }) => sum + of(run), 0);

export function takeoverTimes(
  takeovers: readonly TakeoverRun[],
  cause: TakeoverRun['cause'],
  memoryBytes: number,
): readonly number[] {
  return takeovers
    .filter((run) => run.cause === cause && run.memoryBytes === memoryBytes)
    .map(takeoverMs);
}
