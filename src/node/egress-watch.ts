/**
 * Looks whether what a takeover would plug the guest's cables into is there, while they are plugged
 * in nowhere: a machine that takes over without it has no network until somebody notices.
 */
import { reasonOf } from '../base/errors.ts';
import { inspectEgress } from '../egress/inspect.ts';
import type { Concerns } from './concerns.ts';

export interface EgressWatchOptions {
  /** One for each card (egress/from-spec.ts). */
  readonly specs: readonly string[];
  /** The machine is here: whether its cables are plugged in is told by others (plug-in.ts). */
  readonly isInUse: () => boolean;
  readonly concerns: Pick<Concerns, 'tell'>;
}

export class EgressWatch {
  readonly #options: EgressWatchOptions;

  constructor(options: EgressWatchOptions) {
    this.#options = options;
  }

  /** To be called now and then. */
  look(): void {
    this.#options.concerns.tell('network', this.#problem());
  }

  #problem(): string | undefined {
    const { specs, isInUse } = this.#options;
    if (isInUse()) return undefined;
    for (const spec of specs) {
      try {
        inspectEgress(spec);
      } catch (thrown) {
        return `a takeover would run without a network. ${reasonOf(thrown)}`;
      }
    }
    return undefined;
  }
}
