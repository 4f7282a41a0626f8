/**
 * The other end of one link: is it alive, and does it speak in our term?
 *
 * Contract
 *  1. Whatever arrives is life (failure-detector.ts). A message is handed on only if it is of the
 *     term that this node speaks or listens in (terms.ts): one of an older term is answered with
 *     the present one, a newer term is told and not obeyed.
 *  2. Heartbeats and words about terms are dealt with here.
 *  3. Silence is told once.
 */
import type { Millis, Term } from '../base/units.ts';
import type { Control, LinkMessage } from '../ports/link.ts';
import type { Emit, LinkId } from './effects.ts';
import { type DetectorEffect, type DetectorOptions, FailureDetector } from './failure-detector.ts';
import type { judgeTerm } from './terms.ts';

export interface PeerOptions {
  readonly link: LinkId;
  readonly detector: DetectorOptions;
  /** The term that this node speaks or listens in. */
  readonly term: () => Term;
  readonly onSuspect: (reason: string, now: Millis) => void;
  readonly onTermHeard: (term: Term, now: Millis) => void;
  readonly judgeTerm: typeof judgeTerm;
  readonly emit: Emit;
}

export class Peer {
  readonly link: LinkId;
  readonly #options: PeerOptions;
  readonly #detector: FailureDetector;

  constructor(options: PeerOptions, now: Millis) {
    this.link = options.link;
    this.#options = options;
    this.#detector = new FailureDetector(options.detector, now);
    // Both sides begin with a seed.
    this.#detector.step({ type: 'patience', isSeeding: true }, now);
  }

  /** Of the link, in milliseconds; `undefined` before the first echo. */
  get roundTripMs(): number | undefined {
    return this.#detector.roundTripMs;
  }

  timer(now: Millis): void {
    this.#perform(this.#detector.step({ type: 'timer' }, now), now);
  }

  /** The seed is over: silence is judged by its usual length. */
  seeded(now: Millis): void {
    this.#detector.step({ type: 'patience', isSeeding: false }, now);
  }

  tell(control: Control): void {
    const { emit, link, term } = this.#options;
    emit({ type: 'send', link, message: { kind: 'control', term: term(), control } });
  }

  /** Takes note of a message. False: it was of another term, or for this end, and is done with. */
  admit(message: LinkMessage, now: Millis): boolean {
    const { term, onTermHeard } = this.#options;
    this.#detector.step({ type: 'received' }, now);
    const verdict = this.#options.judgeTerm(term(), message.term);
    if (verdict.type === 'refuse') {
      this.tell({ type: 'staleTerm', refused: verdict.refused, current: verdict.current });
      return false;
    }
    if (verdict.type === 'overruled') {
      onTermHeard(verdict.term, now);
      return false;
    }
    if (message.kind !== 'control') return true;
    const { control } = message;
    if (control.type === 'heartbeat') {
      this.#perform(this.#detector.step({ type: 'heartbeat', heartbeat: control }, now), now);
      return false;
    }
    if (control.type === 'staleTerm') {
      onTermHeard(control.current, now);
      return false;
    }
    return true;
  }

  #perform(effects: readonly DetectorEffect[], now: Millis): void {
    for (const effect of effects) {
      if (effect.type === 'sendHeartbeat') this.tell(effect.heartbeat);
      else if (effect.type === 'suspect') {
        this.#options.onSuspect(`nothing was heard for ${Math.round(effect.silentMs)} ms`, now);
      } else this.#options.emit({ type: 'noted', what: effect });
    }
  }
}
