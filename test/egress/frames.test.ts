// The stream codec must give the same frames however the stream was cut, and refuse nonsense.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeStreamFrame,
  encodeStreamFrames,
  StreamFrameDecoder,
} from '../../src/base/stream-frames.ts';

const frames = fc.array(
  fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 20 },
);

function pushInPieces(decoder: StreamFrameDecoder, stream: Buffer, cuts: readonly number[]) {
  const got: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b).map((part) => part % (stream.length + 1))) {
    if (cut <= from) continue;
    got.push(...decoder.push(stream.subarray(from, cut)));
    from = cut;
  }
  got.push(...decoder.push(stream.subarray(from)));
  return got;
}

describe('StreamFrameDecoder', () => {
  test('gives back what was encoded, wherever the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(6000)), (sent, cuts) => {
        const decoder = new StreamFrameDecoder();
        const got = pushInPieces(decoder, encodeStreamFrames(sent), cuts);
        expect(got.map((frame) => frame.toString('hex'))).toEqual(
          sent.map((frame) => frame.toString('hex')),
        );
        expect(decoder.atBoundary).toBe(true);
      }),
    );
  });

  test('works byte by byte', () => {
    const decoder = new StreamFrameDecoder();
    const stream = encodeStreamFrames([Buffer.from('one'), Buffer.from('2')]);
    const got = [...stream].flatMap((byte) => decoder.push(Buffer.from([byte])));
    expect(got.map(String)).toEqual(['one', '2']);
  });

  test('a frame that waits for its end does not alias the chunk it began in', () => {
    const decoder = new StreamFrameDecoder();
    const stream = encodeStreamFrame(Buffer.from('abcdef'));
    const first = Buffer.from(stream.subarray(0, 6));
    expect(decoder.push(first)).toEqual([]);
    expect(decoder.atBoundary).toBe(false);
    first.fill(0);
    expect(decoder.push(stream.subarray(6)).map(String)).toEqual(['abcdef']);
  });

  test.each([0, 101, 0xffff_ffff])('a length of %i ends the stream for good', (length) => {
    const decoder = new StreamFrameDecoder({ frameBytesMax: 100 });
    const header = Buffer.alloc(4);
    header.writeUInt32BE(length);
    expect(() => decoder.push(header)).toThrow(/length must be 1 to 100/);
    expect(() => decoder.push(encodeStreamFrame(Buffer.from('x')))).toThrow(/length must be/);
  });

  test('an absurd length is refused when its header comes in two pieces', () => {
    const decoder = new StreamFrameDecoder();
    decoder.push(Buffer.from([0xff]));
    expect(() => decoder.push(Buffer.from([0xff, 0xff, 0xff]))).toThrow(/length must be/);
  });
});

test('the encoder refuses a frame that the decoder would refuse', () => {
  expect(() => encodeStreamFrame(Buffer.alloc(0))).toThrow(RangeError);
  expect(() => encodeStreamFrames([Buffer.alloc(11)], { frameBytesMax: 10 })).toThrow(RangeError);
});
