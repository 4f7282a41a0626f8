/**
 * What a log becomes before a replayer executes it.
 *
 * A replayer's main loop does not turn when the recorder's did, and there is a handful of places
 * where that matters. Each filter knows one of them; together they are the way from the log to the
 * FIFO.
 */
import type { Layout } from '../../rrlog/layouts.ts';
import { InstructionMerger } from './instruction-merger.ts';
import { OpenRun } from './open-run.ts';
import { ResetFilter } from './reset-filter.ts';
import { SleepFilter } from './sleep-filter.ts';
import { StartFilter } from './start-filter.ts';

export class ReplayFilters {
  readonly #open: OpenRun;
  readonly #start: StartFilter | undefined;
  readonly #resets: ResetFilter;
  readonly #merger: InstructionMerger;
  readonly #sleeps: SleepFilter;

  /** `behindCut`: the first event is the first one behind a `stop` and `cont` of the primary. */
  constructor(layout: Layout, behindCut: boolean) {
    this.#open = new OpenRun(layout);
    this.#start = behindCut ? new StartFilter(layout) : undefined;
    this.#resets = new ResetFilter(layout);
    this.#merger = new InstructionMerger(layout);
    this.#sleeps = new SleepFilter(layout);
  }

  /** Takes whole events; returns what the replayer is to be fed, which may be nothing yet. */
  push(events: Buffer): Buffer {
    return this.#filter(this.#open.push(events));
  }

  /** The machine stood still here: what was held. */
  flush(): Buffer {
    const last = this.#filter(this.#open.flush());
    const held = this.#start?.flush() ?? Buffer.alloc(0);
    return Buffer.concat([last, this.#resets.push(held), this.#resets.flush()]);
  }

  /**
   * The log ends here, and a replayer is to stand at its end: the instructions of it that are never
   * given. What else was held is for `flush`.
   */
  leaveOut(): number {
    return this.#open.leaveOut();
  }

  #filter(events: Buffer): Buffer {
    const begun = this.#start?.push(events) ?? events;
    return this.#sleeps.push(this.#merger.push(this.#resets.push(begun)));
  }
}
