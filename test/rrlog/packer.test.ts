import { crc32, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bounds } from '../../src/rrlog/bounds.ts';
import { ClockDelta } from '../../src/rrlog/clock-delta.ts';
import { layoutFor } from '../../src/rrlog/layouts.ts';
import { LogTail } from '../../src/rrlog/log-tail.ts';
import {
  pack,
  packHeadBytes,
  SegmentPacker,
  SegmentUnpacker,
  unpack,
} from '../../src/rrlog/packer.ts';
import { chunkSizes, chunks, logs, padNetId } from './generate.ts';
import { idleLog } from './idle-log.ts';

const layout = layoutFor('7.2');
const refused = expect.objectContaining({ code: 'log-format' }) as Error;

describe('pack', () => {
  it('gives back any bytes, by every codec', () => {
    // Goal: packing loses nothing, also of what does not compress.
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.boolean(), (bytes, store) => {
        const packed = pack(bytes, store ? 'stored' : 'deflate');
        expect(packed.length).toBeLessThanOrEqual(bytes.length + packHeadBytes);
        expect(unpack(packed)).toEqual(Buffer.from(bytes));
      }),
    );
    expect(pack(Buffer.alloc(5000)).length).toBeLessThan(100);
  });

  it('refuses to unpack more than the limit, before it allocates it', () => {
    // Goal: a hostile peer cannot exhaust our memory, neither by the head nor by a deflate bomb.
    const packed = pack(Buffer.alloc(100_000));
    expect(unpack(packed, 100_000).length).toBe(100_000);
    expect(() => unpack(packed, 99_999)).toThrow(/unpack to 100000 bytes, above 99999/);
    const bomb = Buffer.from(packed);
    bomb.writeUInt32BE(10, 1);
    expect(() => unpack(bomb, 100_000)).toThrow(refused);
  });

  it('refuses any damage', () => {
    // Goal: no bit of a packed segment can change and still be unpacked to something else.
    const bytes = idleLog(layout, 40);
    const packed = pack(bytes);
    fc.assert(
      fc.property(fc.nat({ max: 8 * packed.length - 1 }), (bit) => {
        const damaged = Buffer.from(packed);
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        let unpacked: Buffer;
        try {
          unpacked = unpack(damaged);
        } catch (error) {
          expect(error).toEqual(refused);
          return;
        }
        expect(unpacked).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
    for (const bad of [Buffer.alloc(0), packed.subarray(0, 8), packed.subarray(0, -3)]) {
      expect(() => unpack(bad)).toThrow(refused);
    }
  });
});

describe('SegmentPacker', () => {
  it('gives back every segment of any log, in order', () => {
    // Goal: clock differences and dictionary stay in step on both sides, whatever lies between.
    fc.assert(
      fc.property(
        logs(layout),
        chunkSizes,
        fc.infiniteStream(fc.boolean()),
        (log, sizes, plain) => {
          const tail = new LogTail({
            layout,
            input: 'raw',
            expectHeader: false,
            markerNetId: padNetId,
          });
          const packer = new SegmentPacker(layout);
          const unpacker = new SegmentUnpacker(layout);
          for (const chunk of chunks(log.raw, sizes)) {
            const segment = tail.push(chunk);
            if (segment === undefined) continue;
            const sent = Buffer.from(segment.bytes);
            const isPlain = plain.next().value === true;
            const packed = isPlain ? packer.plain(segment.bytes) : packer.pack(segment.bytes);
            expect(unpacker.unpack(packed)).toEqual(sent);
            expect(segment.bytes).toEqual(sent);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('packs an idle log smaller than deflate alone', () => {
    // Goal: the difference of clock readings is worth its code.
    const bytes = idleLog(layout, 5000);
    const packer = new SegmentPacker(layout);
    const tail = new LogTail({ layout, input: 'raw', expectHeader: false, markerNetId: padNetId });
    let packed = 0;
    let alone = 0;
    for (const chunk of chunks(bytes, [1000])) {
      const segment = tail.push(chunk);
      if (segment === undefined) continue;
      packed += packer.pack(segment.bytes).length;
      alone += pack(segment.bytes).length;
    }
    expect(packed).toBeLessThan(alone * 0.8);
    expect(packed).toBeLessThan(bytes.length / 2);
  });

  it('reads what an earlier version kept: differences in place, stored ones in between', () => {
    // Goal: a store that is older than the columns can still be gone back to.
    const delta = new ClockDelta(layout);
    const before: Buffer[] = [];
    const unpacker = new SegmentUnpacker(layout);
    for (const [index, ticks] of [2, 60, 3, 80].entries()) {
      const events = idleLog(layout, ticks, index + 1);
      const deltas = Buffer.from(events);
      delta.forward(deltas);
      const dictionary = Buffer.concat(before).subarray(-bounds.dictionaryBytes);
      before.push(deltas);
      const options = dictionary.length === 0 ? {} : { dictionary };
      const isStored = ticks < 10;
      const data = isStored ? events : deflateRawSync(deltas, options);
      const head = Buffer.alloc(packHeadBytes);
      head.writeUInt8(isStored ? 0 : 2, 0);
      head.writeUInt32BE(events.length, 1);
      head.writeUInt32BE(crc32(events), 5);
      expect(unpacker.unpack(Buffer.concat([head, data]))).toEqual(events);
    }
    const columns = new SegmentPacker(layout).pack(idleLog(layout, 60));
    const mixed = new SegmentUnpacker(layout);
    mixed.unpack(columns);
    const old = Buffer.alloc(packHeadBytes);
    old.writeUInt8(2, 0);
    expect(() => mixed.unpack(old)).toThrow(/of an earlier version/);
  });

  it('notices a segment that was lost or doubled', () => {
    // Goal: a gap never yields wrong events.
    const segments = [1, 2, 3].map((seed) => idleLog(layout, 60, seed));
    const packer = new SegmentPacker(layout);
    const [a, b, c] = segments.map((s) => packer.pack(s));
    const lost = new SegmentUnpacker(layout);
    expect(lost.unpack(a!)).toEqual(segments[0]);
    expect(() => lost.unpack(c!)).toThrow(refused);
    const doubled = new SegmentUnpacker(layout);
    doubled.unpack(a!);
    doubled.unpack(b!);
    expect(() => doubled.unpack(b!)).toThrow(refused);
    expect(() => unpack(b!)).toThrow(/needs the segments before it/);
  });
});
