/** Frames: what is encoded is decoded, and anything else is refused with a reason. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/base/errors.ts';
import { icount, logPosition, term } from '../../src/base/units.ts';
import type { AckFrame, LogFrame } from '../../src/ports/link.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../src/wire/frames.ts';
import { wireLimits } from '../../src/wire/limits.ts';
import { anyFrame } from './arbitraries.ts';

const plain = (frame: Frame): unknown =>
  'payload' in frame ? { ...frame, payload: Buffer.from(frame.payload).toString('hex') } : frame;

const ack: AckFrame = {
  kind: 'ack',
  term: term(1),
  received: logPosition(2),
  appliedIcount: icount(3),
};

const log: LogFrame = {
  kind: 'log',
  term: term(5),
  from: logPosition(0x1_0000_0002),
  to: logPosition(0x1_0000_0005),
  icount: icount(7),
  rawBytes: 9,
  codec: 2,
  payload: Buffer.from('abc'),
};

/** The checksum as the layout defines it: of all bytes but its own. */
const checksumOf = (bytes: Buffer): number =>
  crc32(Buffer.concat([bytes.subarray(0, 4), bytes.subarray(8)]));

/** A frame with some bytes overwritten and a right checksum again. */
function forged(frame: Frame, offset: number, bytes: readonly number[]): Buffer {
  const encoded = encodeFrame(frame);
  encoded.set(bytes, offset);
  encoded.writeUInt32BE(checksumOf(encoded), 4);
  return encoded;
}

function refusalOf(bytes: Buffer): string {
  try {
    decodeFrame(bytes);
  } catch (thrown) {
    if (thrown instanceof UnderstudyError && thrown.code === 'link') return thrown.message;
    throw thrown;
  }
  return 'accepted';
}

describe('frames', () => {
  it('decodes what it encoded', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect(plain(decodeFrame(encodeFrame(frame)))).toEqual(plain(frame));
      }),
      { numRuns: 500 },
    );
  });

  it('is laid out as documented, byte for byte', () => {
    expect(encodeFrame(ack).toString('hex')).toBe(
      '55530204' + '60df7678' + '0000000000000001' + '0000000000000002' + '0000000000000003',
    );
    expect(encodeFrame(log).subarray(8).toString('hex')).toBe(
      '0000000000000005' +
        '0000000100000002' +
        '0000000100000005' +
        '0000000000000007' +
        '00000009' +
        '02000000' +
        '616263',
    );
  });

  it('refuses every truncation of every frame', () => {
    fc.assert(
      fc.property(anyFrame, fc.double({ min: 0, max: 0.999_999, noNaN: true }), (frame, part) => {
        const encoded = encodeFrame(frame);
        const cut = encoded.subarray(0, Math.floor(encoded.length * part));
        expect(refusalOf(cut)).toMatch(/^Cannot read a frame: /);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses every flipped bit', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), (frame, where) => {
        const encoded = encodeFrame(frame);
        const bit = where % (encoded.length * 8);
        encoded[bit >> 3] = (encoded[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(refusalOf(encoded)).toMatch(/^Cannot read a frame: /);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses garbage, also behind a right head and checksum, and only with an UnderstudyError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (garbage, forge) => {
        const bytes = Buffer.from(garbage);
        if (forge && bytes.length >= 16) {
          bytes.writeUIntBE(0x555302, 0, 3);
          bytes[3] = 1 + ((bytes[3] ?? 0) % 4);
          bytes.writeUInt32BE(checksumOf(bytes), 4);
        }
        refusalOf(bytes); // throws on any other error
      }),
      { numRuns: 3000 },
    );
  });

  it('says what is wrong with actual and expected', () => {
    const huge = [0x00, 0x20, 0, 0, 0, 0, 0, 0];
    const tooLong = Buffer.alloc(48 + wireLimits.logPayloadBytes + 1);
    encodeFrame(log).copy(tooLong);
    const cases: [Buffer, string][] = [
      [Buffer.alloc(3), 'it has 3 bytes, at least 16 are needed'],
      [forged(ack, 0, [0x47, 0x45]), 'it begins with 0x4745, expected is 0x5553'],
      [forged(ack, 2, [9]), 'its version is 9, this node speaks 2'],
      [forged(ack, 3, [5]), 'its type is 5, known are 1 to 4'],
      [forged(ack, 3, [2]), "it has 32 bytes, a frame of type 'log' has at least 48"],
      [forged(log, 3, [4]), "it has 51 bytes, a frame of type 'ack' has at most 32"],
      [tooLong, "it has 1048625 bytes, a frame of type 'log' has at most 1048624"],
      [forged(ack, 16, huge), 'its received is 9007199254740992, at most 2^53-1 may be'],
      [forged(ack, 8, huge), 'its term is 9007199254740992, at most 2^53-1 may be'],
      [forged(log, 24, [0, 0, 0, 0]), 'its log ends at 5, before it begins at 4294967298'],
      [forged(log, 40, [1, 0, 0, 1]), 'its log unpacks to 16777217 bytes, at most 16777216 may be'],
      [forged(log, 46, [1]), 'its reserved bytes at 45 are 0x100, expected is 0'],
    ];
    for (const [bytes, message] of cases) expect(refusalOf(bytes)).toContain(message);
    const damaged = encodeFrame(log);
    damaged[50] = 0x7a;
    expect(refusalOf(damaged)).toMatch(/its checksum is 0x[0-9a-f]+, the frame says 0x[0-9a-f]+/);
  });

  it('does not encode what it would not decode', () => {
    const tooLarge = Buffer.alloc(wireLimits.logPayloadBytes + 1);
    expect(() => encodeFrame({ ...log, payload: tooLarge })).toThrow(UnderstudyError);
    expect(() => encodeFrame({ ...log, codec: 256 })).toThrow("'codec' must be");
    expect(() => encodeFrame({ ...log, to: logPosition(1) })).toThrow("'from' must be");
    expect(() => encodeFrame({ ...ack, received: 0.5 as never })).toThrow(UnderstudyError);
    expect(() => encodeFrame({ ...ack, received: (2 ** 53) as never })).toThrow(UnderstudyError);
  });
});
