/** How a node says no at its control socket: `{"ok":false, ...}` with the parts of the error. */
import { type ErrorParts, errorFrom, partsOf } from '../base/error-parts.ts';

export interface Refusal extends ErrorParts {
  readonly ok: false;
}

export function refusalOf(thrown: unknown): Refusal {
  return { ok: false, ...partsOf(thrown) };
}

/** The error that was refused with; of code `link` when the node said none. */
export function errorOf({ ok, ...parts }: Refusal): Error {
  return errorFrom({ code: 'link', ...parts });
}
