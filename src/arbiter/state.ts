/** What all arbiters check alike. */
import { UnderstudyError } from '../base/errors.ts';
import type { ArbiterState } from '../ports/arbiter.ts';
import { arbiterLimits } from './limits.ts';

export function sameState(a: ArbiterState | undefined, b: ArbiterState | undefined): boolean {
  return a?.term === b?.term && a?.holder === b?.holder;
}

/** Throws `UnderstudyError` ('arbiter') when `next` does not follow `expected`. */
export function checkNext(expected: ArbiterState | undefined, next: ArbiterState): void {
  const term = (expected?.term ?? 0) + 1;
  if (next.term !== term) {
    throw new UnderstudyError(
      'arbiter',
      `Cannot claim a term as 'next.term' must be ${term}, one after the expected: ` +
        `current value is ${next.term}`,
    );
  }
  const { length } = next.holder;
  if (length === 0 || length > arbiterLimits.holderChars) {
    throw new UnderstudyError(
      'arbiter',
      `Cannot claim a term as 'next.holder' must have 1 to ${arbiterLimits.holderChars} ` +
        `characters: current length is ${length}`,
    );
  }
}
