/**
 * What is wrong with a node or around it, while it lasts: the disk is full, the arbiter is away.
 * Protection may still hold, or may be what is missing; either way somebody has to see it.
 *
 * Contract
 *  1. One problem for each thing that it is about: a new one takes the place of the old one.
 *  2. It is logged and reported when it begins, when it becomes another one, and when it is over;
 *     never again in between, however often it is told.
 */
import type { Logger } from './logger.ts';
import type { Reporter } from './report.ts';

export interface Concern {
  /** A word for the part that it is about, such as `arbiter`. */
  readonly about: string;
  /** What is wrong, what it means, and what to do. */
  readonly problem: string;
  /** When it began, as ISO 8601. */
  readonly since: string;
}

export class Concerns {
  readonly #reporter: Reporter;
  readonly #log: Logger;
  readonly #present = new Map<string, Concern>();

  constructor({ reporter, log }: { readonly reporter: Reporter; readonly log: Logger }) {
    this.#reporter = reporter;
    this.#log = log;
  }

  /** The present ones, the oldest first. */
  get present(): readonly Concern[] {
    return [...this.#present.values()];
  }

  /** `undefined`: nothing is wrong with it, any more. */
  tell(about: string, problem: string | undefined): void {
    const known = this.#present.get(about);
    if (known?.problem === problem) return;
    this.#reporter.report({ type: 'concern', about, problem });
    if (problem === undefined) {
      this.#present.delete(about);
      this.#log.info({ about, since: known?.since }, 'a concern is over');
      return;
    }
    const since = known?.since ?? new Date().toISOString();
    this.#present.set(about, { about, problem, since });
    this.#log.warn({ about, problem }, 'a concern');
  }
}
