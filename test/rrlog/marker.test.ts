import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Epoch } from '../../src/base/units.ts';
import { decodeMarkerHead, encodeMarkerFrame, markerHeadBytes } from '../../src/rrlog/marker.ts';

const epochs = fc.maxSafeNat().map((n) => n as Epoch);
const sizes = fc.integer({ min: 4200, max: 131_072 });

describe('marker', () => {
  it('carries its epoch and length in its first 32 bytes', () => {
    // Goal: the head alone is enough, and nothing of it is lost.
    fc.assert(
      fc.property(epochs, sizes, (epoch, frameBytes) => {
        const frame = encodeMarkerFrame(epoch, frameBytes);
        expect(frame.length).toBe(frameBytes);
        const head = decodeMarkerHead(frame.subarray(0, markerHeadBytes));
        expect(head).toEqual({ epoch, originalBytes: frameBytes });
      }),
      { numRuns: 50 },
    );
  });

  it('is not a marker any more when one bit of its head is wrong', () => {
    // Goal: no damaged or foreign frame ends an epoch.
    const frame = encodeMarkerFrame(123_456 as Epoch);
    for (let bit = 0; bit < 8 * markerHeadBytes; bit++) {
      const damaged = Buffer.from(frame);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeMarkerHead(damaged)).toBeUndefined();
    }
    expect(decodeMarkerHead(frame.subarray(0, 31))).toBeUndefined();
  });

  it('has a length that pushes it out of the recorder', () => {
    // Goal: a frame that would stay in QEMU's buffer cannot be made.
    for (const bytes of [0, 32, 4199, 131_073, 5000.5, Number.NaN]) {
      expect(() => encodeMarkerFrame(1 as Epoch, bytes)).toThrow(/4200 to 131072 bytes/);
    }
  });
});
