/** The end of a node, step by step, whatever becomes of each. */
import { reasonOf } from '../base/errors.ts';
import type { Logger } from './logger.ts';

export interface ClosingStep {
  /** What is ended, for the log. */
  readonly what: string;
  readonly end: () => unknown;
}

/**
 * Does the steps in order. One that fails is told and keeps no other from being done; after `ms` in
 * all, none is waited for.
 */
export async function closeAll(
  steps: readonly ClosingStep[],
  { ms, log }: { readonly ms: number; readonly log: Logger },
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, ms, 'late' as const);
  });
  let isLate = false;
  for (const { what, end } of steps) {
    const ending = (async () => end())().then(
      () => undefined,
      (thrown: unknown) => log.error({ error: reasonOf(thrown) }, `${what} did not end well`),
    );
    if (isLate || (await Promise.race([ending, late])) !== 'late') continue;
    isLate = true;
    log.error({ ms }, `${what} did not end in time; nothing is waited for any more`);
  }
  clearTimeout(timer);
}
