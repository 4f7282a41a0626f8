/** Between which stores is copied, and what of the source cannot be. */
import { asError } from '../../base/errors.ts';
import type { StoreParts } from '../parts.ts';

export interface Tiers {
  /** Open to read, beside whoever writes to it. */
  readonly from: StoreParts;
  /** Open to write. */
  readonly to: StoreParts;
  /** Snapshots and pieces of log that are damaged in the source, by id and path, and why. */
  readonly leftOut: Map<string, Error>;
  /** Copying is over as soon as it is aborted. */
  readonly signal?: AbortSignal;
}

/** What is to be copied cannot be read; any other error of a copy is of the other store. */
export class SourceFailure extends Error {}

/** Runs what reads the source. */
export async function reading<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    const cause = asError(thrown);
    throw new SourceFailure(cause.message, { cause });
  }
}
