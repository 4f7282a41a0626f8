/** What happened, one line each, for the person who has to understand a failure. */

/** Lines kept: the end of a run is what explains its failure. */
const linesMax = 400;

interface Line {
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
}

export class Timeline {
  readonly #lines: Line[] = [];
  /** Hears each line, too. */
  onLine: ((line: string, who: string) => void) | undefined;

  add(atMs: number, who: string, what: string): void {
    this.#lines.push({ atMs, who, what });
    this.onLine?.(textOf({ atMs, who, what }), who);
    if (this.#lines.length > 2 * linesMax) this.#lines.splice(0, linesMax);
  }

  /** The last lines, as text. */
  text(): string {
    return this.#lines.slice(-linesMax).map(textOf).join('\n');
  }
}

const textOf = ({ atMs, who, what }: Line): string =>
  `${(atMs / 1000).toFixed(3).padStart(9)} s  ${who.padEnd(8)} ${what}`;
