/** What happened, one line each, for the person who has to understand a failure. */

/** Lines kept: the end of a run is what explains its failure. */
const linesMax = 400;

export class Timeline {
  readonly #lines: { readonly atMs: number; readonly who: string; readonly what: string }[] = [];

  add(atMs: number, who: string, what: string): void {
    this.#lines.push({ atMs, who, what });
    if (this.#lines.length > 2 * linesMax) this.#lines.splice(0, linesMax);
  }

  /** The last lines, as text. */
  text(): string {
    return this.#lines
      .slice(-linesMax)
      .map(
        ({ atMs, who, what }) =>
          `${(atMs / 1000).toFixed(3).padStart(9)} s  ${who.padEnd(8)} ${what}`,
      )
      .join('\n');
  }
}
