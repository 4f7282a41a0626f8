/**
 * Watches one link of either role: heartbeats, silence, and the terms of what arrives. The core
 * judges (failure-detector.ts, terms.ts); this sends and tells.
 */
import { millis, type Term } from '../base/units.ts';
import {
  type DetectorEffect,
  type DetectorOptions,
  FailureDetector,
} from '../core/failure-detector.ts';
import { judgeTerm } from '../core/terms.ts';
import type { Link, LinkMessage } from '../ports/link.ts';
import type { Logger } from './logger.ts';

export interface LinkWatchOptions {
  readonly link: Link;
  readonly detector: DetectorOptions;
  /** The term that this node speaks or listens in. */
  readonly term: () => Term;
  readonly onSuspect: (reason: string) => void;
  readonly onTermHeard: (term: Term) => void;
  readonly log: Logger;
}

export class LinkWatch {
  readonly #options: LinkWatchOptions;
  readonly #detector: FailureDetector;

  constructor(options: LinkWatchOptions) {
    this.#options = options;
    this.#detector = new FailureDetector(options.detector, millis(performance.now()));
  }

  /** Of the link, in milliseconds; `undefined` before the first echo. */
  get roundTripMs(): number | undefined {
    return this.#detector.roundTripMs;
  }

  /** Called every `coreTimerMs`. */
  tick(): void {
    this.#perform(this.#detector.step({ type: 'timer' }, millis(performance.now())));
  }

  /** Whether a seed is on its way: both sides are patient then. */
  seeding(isSeeding: boolean): void {
    this.#detector.step({ type: 'patience', isSeeding }, millis(performance.now()));
  }

  /** Takes note of a message. False: it was of another term, or for this watch, and is done with. */
  admit(message: LinkMessage): boolean {
    const now = millis(performance.now());
    const { link, term, onTermHeard } = this.#options;
    this.#detector.step({ type: 'received' }, now);
    const verdict = judgeTerm(term(), message.term);
    if (verdict.type === 'refuse') {
      const { refused, current } = verdict;
      const control = { type: 'staleTerm', refused, current } as const;
      link.send({ kind: 'control', term: current, control });
      return false;
    }
    if (verdict.type === 'overruled') {
      onTermHeard(verdict.term);
      return false;
    }
    if (message.kind !== 'control') return true;
    const { control } = message;
    if (control.type === 'heartbeat') {
      this.#perform(this.#detector.step({ type: 'heartbeat', heartbeat: control }, now));
      return false;
    }
    if (control.type === 'staleTerm') {
      onTermHeard(control.current);
      return false;
    }
    return true;
  }

  #perform(effects: readonly DetectorEffect[]): void {
    const { link, term, log, onSuspect } = this.#options;
    for (const effect of effects) {
      switch (effect.type) {
        case 'sendHeartbeat':
          link.send({ kind: 'control', term: term(), control: effect.heartbeat });
          break;
        case 'suspect':
          onSuspect(`nothing was heard for ${Math.round(effect.silentMs)} ms`);
          break;
        case 'wasAway':
          log.warn({ ms: Math.round(effect.ms) }, 'this node itself stood still');
          break;
        case 'silenceRaised':
          log.warn(effect, 'silenceMs is too short for the round trip of this link: it was raised');
          break;
      }
    }
  }
}
