/**
 * The clock on the wall, as a recording knows it: read once when the recording begins, and never
 * set back in it, whatever becomes of the host's clock.
 */

/** Whole milliseconds since 1970; each clock is read anew. */
export function recordingClock(): () => number {
  const beganAtMs = Date.now() - performance.now();
  return () => Math.round(beganAtMs + performance.now());
}
