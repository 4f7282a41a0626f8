/**
 * Whether a piece of log travels packed.
 *
 * Packing a piece and unpacking it takes both nodes more of a processor than the bytes are worth
 * to a link that is near: that has room for all that a recorder writes. So a piece that follows
 * another at once, as under load, travels plain there. The few pieces of a guest that does little
 * cost nothing, and are packed. What its backup keeps (on its disk, or in its spool while it is
 * seeded) is packed always.
 */
import { limits } from '../base/limits.ts';
import type { Millis } from '../base/units.ts';

export class LogPacking {
  readonly #backupKeepsLog: boolean;
  #isSeeded = false;
  #lastAt = Number.NEGATIVE_INFINITY;

  /** `backupKeepsLog`: it writes what it acknowledges to its disk (`ack: durable`). */
  constructor({ backupKeepsLog }: { readonly backupKeepsLog: boolean }) {
    this.#backupKeepsLog = backupKeepsLog;
  }

  seeded(): void {
    this.#isSeeded = true;
  }

  /** Called for each piece. `roundTripMs`: of the link, as far as it is known. */
  isPlain(roundTripMs: number | undefined, now: Millis): boolean {
    const sinceLastMs = now - this.#lastAt;
    this.#lastAt = now;
    if (this.#backupKeepsLog || !this.#isSeeded || roundTripMs === undefined) return false;
    return roundTripMs <= limits.nearRoundTripMs && sinceLastMs < limits.plainWithinMs;
  }
}
