/**
 * A machine that is hurt (src/ports/machine.ts): what the primary's half of the protocol is told of
 * it, and when one that stands is told to go on.
 *
 * Contract
 *  1. A hurt machine with a backup that may take over is handed over, as in a drill; one that
 *     cannot even be stopped for that has failed.
 *  2. A backup that may not take over is given up, and while the machine is hurt there is no other:
 *     no copy does what such a machine does when it goes on.
 *  3. Only a machine without a backup is told to go on: after `hurtRetryMs`, then after twice as
 *     long, up to `hurtRetryMaxMs`, until it is healed: somebody has to make room, or to mend
 *     something.
 */
import { limits } from '../base/limits.ts';
import type { Millis } from '../base/units.ts';
import type { MachineReport } from '../ports/machine.ts';
import type { PrimaryEvent } from './primary-events.ts';

type Hurt = Extract<MachineReport, { type: 'hurt' }>;
type Healed = Extract<MachineReport, { type: 'healed' }>;

/** States without a backup in which the machine runs. */
const alone: readonly string[] = ['alone', 'holding'];
/** States with a backup that may not take over. */
const ungranted: readonly string[] = ['seeding', 'granting'];

export class HurtMachine {
  #present: Hurt | undefined;
  #againAt = 0;
  #pauseMs: number = limits.hurtRetryMs;

  /** Why it is; `undefined`: it is not. */
  get reason(): string | undefined {
    return this.#present && `the machine is hurt: ${this.#present.reason}`;
  }

  /** What the primary's core is told for it in this state. */
  take(event: Hurt | Healed, state: string, now: Millis): PrimaryEvent[] {
    if (event.type === 'healed') {
      this.#present = undefined;
      this.#pauseMs = limits.hurtRetryMs;
      return [];
    }
    this.#present = event;
    this.#againAt = now + this.#pauseMs;
    if (state === 'protected') return [{ type: 'drill' }];
    const reason = this.reason ?? event.reason;
    return ungranted.includes(state) ? [{ type: 'backupLost', reason }] : [];
  }

  /** The machine could not be stopped. */
  notStopped(reason: string): PrimaryEvent {
    if (this.reason === undefined) return { type: 'guestNotStopped', reason };
    return { type: 'machineFailed', reason: `${this.reason}, and cannot be stopped: ${reason}` };
  }

  /** Whether it is to be told to go on now; once for each pause. */
  goesOn(state: string, now: Millis): boolean {
    if (this.#present?.stands !== true || !alone.includes(state) || now < this.#againAt) {
      return false;
    }
    this.#pauseMs = Math.min(2 * this.#pauseMs, limits.hurtRetryMaxMs);
    this.#againAt = now + this.#pauseMs;
    return true;
  }
}
