/** What all arbiters check and write alike. */
import { UnderstudyError } from '../base/errors.ts';
import { term as toTerm } from '../base/units.ts';
import type { ArbiterState } from '../ports/arbiter.ts';
import { arbiterLimits } from './limits.ts';

/** Names of pairs: they become names of files, parts of a URL and of an etcd key. */
export const pairName = /^[A-Za-z0-9_-]{1,32}$/;

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

/**
 * A state as it is kept: one line of JSON, always written in the same way. Version 2 is of an
 * unproven term, which a program that knows of none must not take for one to speak in.
 */
export function formatState({ term, holder, unproven }: ArbiterState): string {
  const version = unproven === undefined ? 1 : 2;
  return `${JSON.stringify({ understudy: 'term', version, term, holder, unproven })}\n`;
}

/** The state in a line that `formatState` wrote; `undefined` for anything else. */
export function parseState(text: string): ArbiterState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const fields = (value ?? {}) as Partial<Record<string, unknown>>;
  const { understudy, version, term, holder, unproven } = fields;
  if (understudy !== 'term' || typeof holder !== 'string') return undefined;
  if (!Number.isSafeInteger(term) || (term as number) < 1) return undefined;
  const state = { term: toTerm(term as number), holder };
  if (version === 1 && unproven === undefined) return state;
  return version === 2 && unproven === true ? { ...state, unproven } : undefined;
}
