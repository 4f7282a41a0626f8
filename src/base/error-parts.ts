/**
 * An error as plain data, for where a class cannot go: another thread, the other end of a socket.
 *
 *   {"error":"...","code":"store","hint":"...","mayPass":true,"because":["...", ...]}
 *
 * Only `error` is always there.
 */
import { asError, type ErrorCode, UnderstudyError } from './errors.ts';

export interface ErrorParts {
  readonly error: string;
  /** Of an operating error, as are hint and `mayPass`. */
  readonly code?: ErrorCode;
  readonly hint?: string;
  readonly mayPass?: boolean;
  /** What the causes say, from the nearest on. */
  readonly because?: readonly string[];
}

export function partsOf(thrown: unknown): ErrorParts {
  const error = asError(thrown);
  const because = causesOf(error);
  return {
    error: error.message,
    ...(error instanceof UnderstudyError ? operating(error) : {}),
    ...(because.length === 0 ? {} : { because }),
  };
}

/** The same error again: an operating error when it has a code. */
export function errorFrom({ error, code, hint, mayPass = false, because = [] }: ErrorParts): Error {
  const below = because.reduceRight<Error | undefined>(
    (cause, message) => new Error(message, causedBy(cause)),
    undefined,
  );
  if (code === undefined) return new Error(error, causedBy(below));
  return new UnderstudyError(code, error, {
    ...causedBy(below),
    ...(hint === undefined ? {} : { hint }),
    mayPass,
  });
}

function operating({ code, hint, mayPass }: UnderstudyError): Partial<ErrorParts> {
  return { code, ...(hint === undefined ? {} : { hint }), ...(mayPass ? { mayPass } : {}) };
}

const causedBy = (cause: Error | undefined) => (cause === undefined ? {} : { cause });

function causesOf(error: Error): string[] {
  const causes: string[] = [];
  for (let { cause } = error; cause instanceof Error; cause = cause.cause) {
    causes.push(cause.message);
  }
  return causes;
}
