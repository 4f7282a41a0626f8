/**
 * Cables that could not be plugged in when a machine took over: a bridge that was removed, a passt
 * that has ended. The machine runs without them, which is told, and they are tried again until they
 * are there. Its guest sees a network that loses every frame, and nothing else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { Attempts } from './attempts.ts';
import type { Concerns } from './concerns.ts';
import type { Outputs } from './outputs.ts';

export interface PlugInOptions {
  readonly outputs: Pick<Outputs, 'open'>;
  /** MAC addresses of the guest's cards. */
  readonly macs: readonly string[];
  /** Why they are not plugged in yet. */
  readonly problem: unknown;
  readonly concerns: Concerns;
  /** The machine is gone. */
  readonly isOver: () => boolean;
}

/** Resolves when they are plugged in, or the machine is gone. */
export async function plugIn(options: PlugInOptions): Promise<void> {
  const { outputs, macs, problem, concerns, isOver } = options;
  const pauseMsMax = limits.egressRetryMsMax;
  const attempts = new Attempts({ tells: { about: 'egress', concerns }, pauseMsMax });
  let reason = reasonOf(problem);
  while (!isOver()) {
    attempts.failed(`the machine runs without a network: ${reason}. It is tried again`);
    await sleep(limits.egressRetryMs, undefined, { ref: false });
    await attempts.pause();
    if (isOver()) break;
    try {
      await outputs.open(macs);
      break;
    } catch (thrown) {
      reason = reasonOf(thrown);
    }
  }
  attempts.succeeded();
}
