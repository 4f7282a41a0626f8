/**
 * What a log becomes before a replayer executes it.
 *
 * A replayer's main loop does not turn when the recorder's did, and there is a handful of places
 * where that matters. Each filter knows one of them; together they are the way from the log to the
 * FIFO.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import { InstructionMerger } from './instruction-merger.ts';
import { ResetFilter } from './reset-filter.ts';
import { SleepFilter } from './sleep-filter.ts';
import { StartFilter } from './start-filter.ts';

export class ReplayFilters {
  readonly #start: StartFilter | undefined;
  readonly #resets: ResetFilter;
  readonly #merger: InstructionMerger;
  readonly #sleeps: SleepFilter;

  /** `behindCut`: the first event is the first one behind a `stop` and `cont` of the primary. */
  constructor(layout: Layout, behindCut: boolean) {
    this.#start = behindCut ? new StartFilter(layout) : undefined;
    this.#resets = new ResetFilter(layout);
    this.#merger = new InstructionMerger(layout);
    this.#sleeps = new SleepFilter(layout);
  }

  /** Takes whole events; returns what the replayer is to be fed, which may be nothing yet. */
  push(events: Buffer): Buffer {
    const begun = this.#start?.push(events) ?? events;
    return this.#sleeps.push(this.#merger.push(this.#resets.push(begun)));
  }

  /** The log ends here: what was held. */
  flush(): Buffer {
    const held = this.#start?.flush() ?? Buffer.alloc(0);
    return Buffer.concat([this.#resets.push(held), this.#resets.flush()]);
  }
}
