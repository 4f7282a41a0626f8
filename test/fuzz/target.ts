/** What the fuzzer throws things at, and what it calls a finding. */
import { UnderstudyError } from '../../src/base/errors.ts';
import type { Random } from './random.ts';

export interface FuzzTarget {
  readonly name: string;
  /** How many cases make a batch: few when a case is long. */
  readonly batch: number;
  open?(): Promise<void>;
  close?(): Promise<void>;
  /**
   * One case. Whatever it throws is a finding. `trace` keeps the bytes that were sent, for the
   * report. A promise is what remains to be seen once the case has been played.
   */
  play(random: Random, trace: (bytes: Uint8Array) => void): Promise<void> | undefined;
}

/** Something that must not be. */
export class Finding extends Error {}

export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Finding(what);
}

/** Runs what may refuse: only an `UnderstudyError` is a refusal. */
export function refusable<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof UnderstudyError) return undefined;
    throw thrown;
  }
}
