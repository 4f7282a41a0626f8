/**
 * The failure detector of one link: when a silent peer is suspected to be gone.
 *
 * Intuition: a broken connection tells at once; a peer that hangs, or a cable that was pulled,
 * tells nothing. So both sides say something at least every `heartbeatMs`, and silence of
 * `silenceMs` is treated as a lost link. Suspicion may be wrong, and may be: it leads to a claim,
 * and the term decides. What it must not do is blame the peer for the absence of this very process.
 *
 * Contract
 *  1. A heartbeat is sent at least every `heartbeatMs` while this process is told the time.
 *  2. Anything received is life: heartbeats, log, acks, bulk.
 *  3. A peer is suspected once, after `silenceMs` without life. Only time that this process was
 *     awake counts: a timer that comes more than `heartbeatMs` late was a pause (SIGSTOP, a host
 *     that slept, a blocked event loop), counts for nothing and suspects nobody. What the peer said
 *     meanwhile waits in the socket, and is read before the next timer.
 *  4. Silence is never judged shorter than the round trip allows: `roundTripsMin` round trips and
 *     one heartbeat. What the configuration alone shows to be impossible is an error at the start
 *     (`detectorProblem`); what only the link shows raises the silence and says so, because to
 *     refuse then would leave the machine unprotected for the sake of a number. A round trip is
 *     never the same twice: it is said again when the silence is longer than any that was told, by
 *     a tenth.
 *  5. A round trip is the least of the last `roundTripSamples`: a pause of either side lengthens
 *     some of them and shortens none.
 *  6. While a seed is on its way (`patience`) silence is judged `seedPatience` times as long: both
 *     sides copy gigabytes then, and nothing could be taken over.
 *  7. Nothing here decides who speaks.
 */
import { limits } from '../base/limits.ts';
import { type Millis, millis } from '../base/units.ts';
import type { Heartbeat } from '../ports/link.ts';

export type DetectorEvent =
  /** Anything arrived. */
  | { readonly type: 'received' }
  /** A heartbeat arrived; it counts as received. */
  | { readonly type: 'heartbeat'; readonly heartbeat: Heartbeat }
  /** Whether a seed is on its way. At first it is not. */
  | { readonly type: 'patience'; readonly isSeeding: boolean }
  | { readonly type: 'timer' };

export type DetectorEffect =
  | { readonly type: 'sendHeartbeat'; readonly heartbeat: Heartbeat }
  | { readonly type: 'suspect'; readonly silentMs: number }
  /** This process itself stood still, which judges nobody. */
  | { readonly type: 'wasAway'; readonly ms: number }
  /** The round trip does not allow the configured silence: this one is used from now on. */
  | {
      readonly type: 'silenceRaised';
      readonly configuredMs: number;
      readonly usedMs: number;
      readonly roundTripMs: number;
    };

export interface DetectorOptions {
  /** @default limits.silenceMs */
  readonly silenceMs?: number;
  /** @default a third of `silenceMs` */
  readonly heartbeatMs?: number;
}

/** Why these options can never work, or `undefined`. */
export function detectorProblem(options: DetectorOptions): string | undefined {
  const { silenceMs, heartbeatMs } = withDefaults(options);
  if (!(heartbeatMs >= limits.coreTimerMs)) {
    return `heartbeatMs must be at least ${limits.coreTimerMs}, the timer's period: current value is ${heartbeatMs}`;
  }
  if (!(silenceMs >= 2 * heartbeatMs)) {
    return `silenceMs must be at least 2 heartbeats of ${heartbeatMs} ms, or one lost beat is a failure: current value is ${silenceMs}`;
  }
  return undefined;
}

export class FailureDetector {
  readonly #configuredMs: number;
  readonly #heartbeatMs: number;
  #usedMs: number;
  /** The longest silence that was told to be used. */
  #toldMs: number | undefined;
  #lastTimerAt: Millis;
  #lastBeatAt = Number.NEGATIVE_INFINITY;
  /** Awake time since the last life. */
  #silentMs = 0;
  #suspected = false;
  #patience = 1;
  #echo: { readonly sentAtMs: number; readonly receivedAt: Millis } | undefined;
  readonly #roundTrips: number[] = [];

  constructor(options: DetectorOptions, now: Millis) {
    const problem = detectorProblem(options);
    if (problem !== undefined) throw new RangeError(problem);
    const { silenceMs, heartbeatMs } = withDefaults(options);
    this.#configuredMs = silenceMs;
    this.#usedMs = silenceMs;
    this.#heartbeatMs = heartbeatMs;
    this.#lastTimerAt = now;
  }

  /** The measured round trip in milliseconds; `undefined` before the first echo. */
  get roundTripMs(): number | undefined {
    return this.#roundTrips.length === 0 ? undefined : Math.min(...this.#roundTrips);
  }

  /** The silence that is suspicious, as raised by the round trip. */
  get silenceMs(): number {
    return this.#usedMs;
  }

  step(event: DetectorEvent, now: Millis): DetectorEffect[] {
    switch (event.type) {
      case 'received':
        this.#silentMs = 0;
        return [];
      case 'heartbeat':
        this.#silentMs = 0;
        return this.#takeHeartbeat(event.heartbeat, now);
      case 'patience':
        this.#patience = event.isSeeding ? limits.seedPatience : 1;
        this.#silentMs = 0;
        return [];
      case 'timer':
        return this.#takeTimer(now);
    }
  }

  #takeTimer(now: Millis): DetectorEffect[] {
    const passedMs = now - this.#lastTimerAt;
    this.#lastTimerAt = now;
    const effects: DetectorEffect[] = [];
    if (now - this.#lastBeatAt >= this.#heartbeatMs) {
      this.#lastBeatAt = now;
      effects.push({ type: 'sendHeartbeat', heartbeat: this.#beat(now) });
    }
    if (passedMs > this.#heartbeatMs) {
      effects.push({ type: 'wasAway', ms: passedMs });
      return effects;
    }
    this.#silentMs += passedMs;
    if (this.#silentMs >= this.#usedMs * this.#patience && !this.#suspected) {
      this.#suspected = true;
      effects.push({ type: 'suspect', silentMs: this.#silentMs });
    }
    return effects;
  }

  #beat(now: Millis): Heartbeat {
    if (this.#echo === undefined) return { type: 'heartbeat', sentAtMs: now };
    const { sentAtMs, receivedAt } = this.#echo;
    return { type: 'heartbeat', sentAtMs: now, echo: { sentAtMs, heldMs: now - receivedAt } };
  }

  #takeHeartbeat({ sentAtMs, echo }: Heartbeat, now: Millis): DetectorEffect[] {
    this.#echo = { sentAtMs, receivedAt: now };
    if (echo === undefined) return [];
    const roundTripMs = now - echo.sentAtMs - echo.heldMs;
    if (roundTripMs < 0) return []; // an echo of another life's clock
    this.#roundTrips.push(roundTripMs);
    if (this.#roundTrips.length > limits.roundTripSamples) this.#roundTrips.shift();
    return this.#roundTrips.length < limits.roundTripSamples ? [] : this.#judgeRoundTrip();
  }

  #judgeRoundTrip(): DetectorEffect[] {
    const roundTripMs = millis(Math.min(...this.#roundTrips));
    const neededMs = limits.roundTripsMin * roundTripMs + this.#heartbeatMs;
    const usedMs = Math.max(this.#configuredMs, Math.ceil(neededMs));
    this.#usedMs = usedMs;
    const toldMs = this.#toldMs;
    const newsMs = toldMs === undefined ? this.#configuredMs : limits.silenceRaisedAgain * toldMs;
    if (usedMs <= newsMs) return [];
    this.#toldMs = usedMs;
    return [{ type: 'silenceRaised', configuredMs: this.#configuredMs, usedMs, roundTripMs }];
  }
}

function withDefaults(options: DetectorOptions): Required<DetectorOptions> {
  const silenceMs = options.silenceMs ?? limits.silenceMs;
  return { silenceMs, heartbeatMs: options.heartbeatMs ?? silenceMs / 3 };
}
