/**
 * When the next marker is due by itself: every `epochMs`, and seldom for a guest that does nothing.
 */
import { limits } from '../base/limits.ts';
import { type Epoch, type Millis, epoch as toEpoch } from '../base/units.ts';
import type { OutputGate } from './output-gate.ts';

export class MarkerPace {
  readonly #epochMs: number;
  #nextEpoch = 1;
  #lastSentAt = Number.NEGATIVE_INFINITY;
  /** When the last marker came back, and the guest's instructions up to it. */
  #lastSeen = { at: 0, icount: 0 };
  /** Neither outputs nor many instructions between the last two markers. */
  #isIdle = false;
  #hadOutputs = false;

  constructor(epochMs: number) {
    this.#epochMs = epochMs;
  }

  outputsArrived(): void {
    this.#isIdle = false;
    this.#hadOutputs = true;
  }

  /** A marker came back, after so many instructions. */
  seen(icount: number, now: Millis): void {
    const { at, icount: before } = this.#lastSeen;
    this.#lastSeen = { at: now, icount };
    this.#isIdle = !this.#hadOutputs && icount - before < (now - at) * limits.idleInstructionsPerMs;
    this.#hadOutputs = false;
  }

  /**
   * The marker to be sent now, if there is one: because a grant or a line wants it, for an output
   * that waits uncovered, or because it is time.
   */
  next(
    gate: OutputGate,
    { wantsOne, mayBeSeldom }: { readonly wantsOne: boolean; readonly mayBeSeldom: boolean },
    now: Millis,
  ): { readonly epoch: Epoch; readonly isAwaited: boolean } | undefined {
    const room = gate.markersUnseen < limits.markersInFlightMax;
    const held = gate.mode === 'holding' && gate.needsMarker;
    if (!(wantsOne || (room && (held || this.isDue(mayBeSeldom, now))))) return undefined;
    const epoch = this.take(now);
    gate.markerSent(epoch);
    return { epoch, isAwaited: wantsOne || held };
  }

  isDue(mayBeSeldom: boolean, now: Millis): boolean {
    const isSeldom = this.#isIdle && mayBeSeldom;
    const periodMs = isSeldom ? Math.max(this.#epochMs, limits.idleEpochMs) : this.#epochMs;
    return now - this.#lastSentAt >= periodMs;
  }

  /** Takes the next one: it is sent now. */
  take(now: Millis): Epoch {
    const epoch = toEpoch(this.#nextEpoch);
    this.#nextEpoch += 1;
    this.#lastSentAt = now;
    return epoch;
  }
}
