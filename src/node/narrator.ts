/**
 * What people see of a node: its log, and the stream that faces watch. Nothing here has an effect
 * on it.
 */
import type { Term } from '../base/units.ts';
import type { NodeEffect, Note } from '../core/effects.ts';
import type { Concerns } from './concerns.ts';
import type { Logger } from './logger.ts';
import type { Reporter } from './report.ts';

/** Effects that only show something. */
export type ShownEffect = Extract<
  NodeEffect,
  { type: 'became' | 'changed' | 'waiting' | 'noted' | 'concern' }
>;

export interface NarratorOptions {
  readonly term: () => Term;
  readonly state: () => string;
  readonly concerns: Concerns;
  readonly reporter: Reporter;
  readonly log: Logger;
}

export class Narrator {
  readonly #options: NarratorOptions;
  #waitsFor: string | undefined;

  constructor(options: NarratorOptions) {
    this.#options = options;
  }

  /** What a node without a machine waits for. */
  get waitsFor(): string | undefined {
    return this.#waitsFor;
  }

  tell(effect: ShownEffect): void {
    const { log, reporter, state, concerns } = this.#options;
    switch (effect.type) {
      case 'became':
        log.info({ role: effect.role, term: effect.term }, 'role');
        if (effect.role === 'primary') this.#reportState('primary', state());
        return;
      case 'changed':
        log.info({ from: effect.from, to: effect.to }, `${effect.role} state`);
        this.#reportState(effect.role, effect.to);
        return;
      case 'waiting': {
        const { reason } = effect;
        this.#waitsFor = reason;
        if (reason === undefined) return;
        log.info({ reason }, 'waiting');
        reporter.report({ type: 'state', state: 'waiting', detail: reason });
        return;
      }
      case 'concern':
        concerns.tell(effect.about, effect.problem);
        return;
      case 'noted':
        this.#note(effect.what);
        return;
    }
  }

  /** The disk took the term. */
  remembered(): void {
    this.#options.concerns.tell('state', undefined);
  }

  #reportState(role: 'primary' | 'backup', state: string): void {
    const { reporter, term } = this.#options;
    reporter.report({ type: 'role', role, term: term() });
    reporter.report({ type: 'state', state });
  }

  #note(note: Note): void {
    const { log, reporter } = this.#options;
    switch (note.type) {
      case 'backupLost':
        log.warn({ reason: note.reason }, 'the backup is lost');
        return;
      case 'primaryLost':
        log.warn({ reason: note.reason }, 'the primary is lost');
        return;
      case 'cutCompared':
        reporter.report(note);
        return;
      case 'notKept':
        log.warn({ reason: note.reason }, 'no snapshot was kept');
        return;
      case 'guestStands':
        log.warn({ reason: note.reason }, 'the guest does not do as it is told');
        return;
      case 'notRemembered':
        this.#options.concerns.tell(
          'state',
          `its disk does not take term ${note.term}, in which nothing is said before: ${note.reason}`,
        );
        return;
      case 'seedAbandoned':
        reporter.report(note);
        return;
      case 'logNotKept':
        log.warn({ error: note.reason }, 'the durable log ends here');
        return;
      case 'lineEnded': {
        const { set, heldMs, why: reason } = note;
        if (reason !== undefined)
          log.warn({ set, heldMs, reason }, "a group's line was not opened");
        const told = { type: 'line', set, heldMs } as const;
        reporter.report(reason === undefined ? told : { ...told, reason });
        return;
      }
      case 'machineEnded':
        reporter.report({ type: 'ended', outcome: note.outcome });
        return;
      case 'wasAway':
        log.warn({ ms: Math.round(note.ms) }, 'this node itself stood still');
        return;
      case 'silenceRaised':
        log.warn(note, 'silenceMs is too short for the round trip of this link: it was raised');
        return;
    }
  }
}
