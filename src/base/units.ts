/**
 * The quantities that must never be mixed up, as branded numbers.
 *
 * A brand exists only for the type checker. The constructor functions check what the brand
 * promises, so a value of the type is always valid.
 */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Instructions executed by the guest since power-on: the "recovery register" of the log. */
export type Icount = Branded<number, 'Icount'>;
/** Byte offset in the raw event log, header included, at the boundary of a whole event. */
export type LogPosition = Branded<number, 'LogPosition'>;
/** Number of an epoch: what lies between two flush markers. */
export type Epoch = Branded<number, 'Epoch'>;
/** Number that only the arbiter raises; at most one node speaks to the world in a term. */
export type Term = Branded<number, 'Term'>;
/** Milliseconds, of a monotonic clock where it is an instant. */
export type Millis = Branded<number, 'Millis'>;

function natural(value: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(
      `${name} must be a whole number from 0 to 2^53-1: current value is ${value}`,
    );
  }
  return value;
}

export const icount = (value: number): Icount => natural(value, 'icount') as Icount;
export const logPosition = (value: number): LogPosition =>
  natural(value, 'log position') as LogPosition;
export const epoch = (value: number): Epoch => natural(value, 'epoch') as Epoch;
export const term = (value: number): Term => natural(value, 'term') as Term;

/** Milliseconds may have a fraction; they may not be NaN or negative. */
export function millis(value: number): Millis {
  if (!(value >= 0)) {
    throw new RangeError(`milliseconds must not be negative: current value is ${value}`);
  }
  return value as Millis;
}
