/** What was shipped to a backup and is not yet executed there, as the age of its oldest part. */
interface Shipped {
  readonly icount: number;
  readonly at: number;
}

export class Backlog {
  #shipped: Shipped[] = [];
  #lastIcount = -1;
  /** A backup that is still being filled executes nothing yet, and cannot be helped by waiting. */
  #isExecuting = false;

  /** Log up to `icount` was given to the link. */
  shipped(icount: number): void {
    if (icount === this.#lastIcount) return;
    this.#lastIcount = icount;
    this.#shipped.push({ icount, at: performance.now() });
  }

  /** The backup says that it has executed `icount` instructions. */
  executed(icount: number): void {
    this.#isExecuting = true;
    const first = this.#shipped.findIndex((entry) => entry.icount > icount);
    if (first > 0) this.#shipped.splice(0, first);
    else if (first < 0) this.#shipped = [];
  }

  /** Milliseconds since the oldest part was shipped; 0 when there is none. */
  get ageMs(): number {
    const oldest = this.#shipped[0];
    return oldest === undefined || !this.#isExecuting ? 0 : performance.now() - oldest.at;
  }
}
