// Two buffers are equal as Node compares them. Element by element, as vitest does it, a chunk of a
// store takes ten milliseconds, and the tests of the store compare thousands.
import { expect } from 'vitest';

expect.addEqualityTesters([
  (a: unknown, b: unknown) => (Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : undefined),
]);
