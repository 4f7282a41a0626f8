/**
 * The clock on the wall, as far as this process knows it: read once at its start, and never set
 * back.
 */

/** Whole milliseconds since 1970. */
export function wallClockMs(): number {
  return Math.round(performance.timeOrigin + performance.now());
}
