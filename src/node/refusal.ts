/**
 * An operating error as one JSON object, for the other end of the control socket: there it is the same
 * error again, with its exit code and its hint.
 *
 *   {"ok":false,"error":"...","code":"store","hint":"...","because":["...", ...]}
 *
 * Only `ok` and `error` are always there.
 */
import { asError, type ErrorCode, UnderstudyError } from '../base/errors.ts';

export interface Refusal {
  readonly ok: false;
  readonly error: string;
  readonly code?: ErrorCode;
  readonly hint?: string;
  /** The causes, from the nearest on. */
  readonly because?: readonly string[];
}

export function refusalOf(thrown: unknown): Refusal {
  const error = asError(thrown);
  const because = causesOf(error);
  const { code, hint }: Partial<UnderstudyError> = error instanceof UnderstudyError ? error : {};
  return {
    ok: false,
    error: error.message,
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
    ...(because.length === 0 ? {} : { because }),
  };
}

/** The error that was refused with; of code `link` when the node said none. */
export function errorOf({ error, code = 'link', hint, because = [] }: Refusal): UnderstudyError {
  const cause = because.reduceRight<Error | undefined>(
    (below, message) => new Error(message, below === undefined ? {} : { cause: below }),
    undefined,
  );
  return new UnderstudyError(code, error, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function causesOf(error: Error): string[] {
  const causes: string[] = [];
  for (let { cause } = error; cause instanceof Error; cause = cause.cause) {
    causes.push(cause.message);
  }
  return causes;
}
