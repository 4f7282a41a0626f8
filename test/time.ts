/** For whatever a test waits for: only what hangs takes so long, however busy a machine is. */
export const hangMs = 120_000;

/**
 * Time as this process lives through it: for tests of what is promised "in time", on a machine
 * whose processors others use as well. A process that does not get to run for a second is none the
 * older here: neither did the code under test get to run, nor its timers.
 */
const tickMs = 10;

export class OwnTime {
  #ticks = 0;
  #timer: NodeJS.Timeout;

  constructor() {
    const tick = (): void => {
      this.#ticks += 1;
      // Not an interval, which makes up for what it has missed.
      this.#timer = setTimeout(tick, tickMs).unref();
    };
    this.#timer = setTimeout(tick, tickMs).unref();
  }

  /** Since it was made; it ends here. */
  end(): number {
    clearTimeout(this.#timer);
    return this.#ticks * tickMs;
  }
}
