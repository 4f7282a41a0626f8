/**
 * The pair files of a directory: what each says, and which of two that name the same pair counts.
 *
 * Contract
 *  1. One file a pair. The one that had the pair goes on having it while it names it; else the
 *     first one by name gets it. The other one is told as a problem, and starts nothing.
 *  2. A file that is wrong now keeps the pair that it had: nobody takes over what it runs.
 */
import type { FileReading } from './effects.ts';

type PairReading = Extract<FileReading, { kind: 'pair' }>;

export class PairFiles {
  readonly #readings = new Map<string, FileReading>();
  /** The file of each pair. */
  readonly #claims = new Map<string, string>();
  readonly #gone = new Set<string>();

  /** By name. */
  get names(): string[] {
    return [...this.#readings.keys()].sort();
  }

  /** It was taken away; one that was never seen was not. */
  isGone(file: string): boolean {
    return this.#gone.has(file);
  }

  seen(file: string, reading: FileReading): void {
    this.#readings.set(file, reading);
    this.#gone.delete(file);
    this.#share();
  }

  gone(file: string): void {
    this.#readings.delete(file);
    this.#gone.add(file);
    this.#share();
  }

  /** What the file says, if it may be done. */
  usable(file: string): PairReading | undefined {
    const reading = this.#readings.get(file);
    if (reading?.kind !== 'pair' || this.#claims.get(reading.pair) !== file) return undefined;
    return reading;
  }

  reading(file: string): FileReading | undefined {
    return this.#readings.get(file);
  }

  /** What is wrong with a file. The machine of a pair beside it is no pair file, and not wrong. */
  problem(file: string): string | undefined {
    const reading = this.#readings.get(file);
    if (reading === undefined) return undefined;
    if (reading.kind === 'bad') return this.#isMachine(file) ? undefined : reading.problem;
    const owner = this.#claims.get(reading.pair);
    if (owner !== file) {
      return `pair '${reading.pair}' is that of '${owner}' already: give one of them another name, or remove it`;
    }
    return reading.none;
  }

  #isMachine(file: string): boolean {
    return [...this.#readings.values()].some(
      (reading) => reading.kind === 'pair' && reading.vmFile === file,
    );
  }

  #share(): void {
    for (const [pair, file] of this.#claims) {
      const reading = this.#readings.get(file);
      const names = reading?.kind === 'pair' ? reading.pair === pair : reading !== undefined;
      if (!names) this.#claims.delete(pair);
    }
    for (const file of this.names) {
      const reading = this.#readings.get(file);
      if (reading?.kind !== 'pair' || this.#claims.has(reading.pair)) continue;
      this.#claims.set(reading.pair, file);
    }
  }
}
