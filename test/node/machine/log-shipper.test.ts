// Every segment must come out at the backup as it went in here. (Which ones are shipped, and what
// is said at a position, is the core's: test/core/served-backup.test.ts.)
import { describe, expect, it } from 'vitest';
import { logPosition, term } from '../../../src/base/units.ts';
import { LogShipper } from '../../../src/node/machine/log-shipper.ts';
import { withoutEnd } from '../../../src/node/machine/without-end.ts';
import type { LogFrame } from '../../../src/ports/link.ts';
import { encodeEvent, type LogEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../../../src/rrlog/log-tail.ts';
import { packHeadBytes, SegmentUnpacker } from '../../../src/rrlog/packer.ts';
import { memoryLinkPair } from '../../doubles/memory-pair.ts';
import { Collector } from '../../wire/link-contract.ts';

const layout = layoutFor('7.2');
const newTail = (position = 12) =>
  new LogTail({
    layout,
    input: 'raw',
    expectHeader: false,
    markerNetId: 1,
    start: { position: logPosition(position), icount: 0 as never },
  });

/** Segments as a recorder gives them; one list of events each. */
function segments(...runs: LogEvent[][]): Segment[] {
  const tail = newTail();
  return runs.map((events) => {
    const bytes = Buffer.concat(events.map((event) => encodeEvent(layout, event)));
    return tail.push(bytes) as Segment;
  });
}

const step = (count: number): LogEvent => ({ kind: 'instruction', count });
const off = (cause: 'guest-shutdown' | 'host-signal'): LogEvent => ({ kind: 'shutdown', cause });

describe('the log shipper', () => {
  it('ships whole segments in the term of each, and the other side unpacks them', async () => {
    const { a, b } = memoryLinkPair();
    const collector = new Collector(b);
    const [first, second] = segments([step(7), step(9)], [step(11)]) as [Segment, Segment];
    const shipper = new LogShipper(a, layout);
    expect([shipper.link, shipper.wireBytes]).toEqual([a, 0]);
    shipper.ship(first, term(1), false);
    shipper.ship(second, term(2), false); // a claim was won meanwhile
    await collector.untilMessages(2);
    const unpacker = new SegmentUnpacker(layout);
    const tail = newTail(first.from);
    const frames = collector.messages as LogFrame[];
    expect(frames.map(({ kind, from, to, icount }) => ({ kind, from, to, icount }))).toEqual(
      [first, second].map(({ from, to, icount }) => ({ kind: 'log', from, to, icount })),
    );
    expect(frames.map((frame) => frame.term)).toEqual([1, 2]);
    for (const [number, frame] of frames.entries()) {
      expect(frame.rawBytes).toBe([first, second][number]?.bytes.length);
      tail.push(unpacker.unpack(frame.payload));
    }
    expect([tail.position, tail.icount]).toEqual([second.to, 27]);
    expect(shipper.wireBytes).toBe(frames.reduce((sum, { payload }) => sum + payload.length, 0));
    a.close('done');
  });

  it('packs each segment behind the one before: what repeats costs little', async () => {
    // Goal: a new backup needs a packer of its own, as the driver gives it; this shows why.
    const { a, b } = memoryLinkPair();
    const collector = new Collector(b);
    const work = Array.from({ length: 60 }, (_, number) => step(((number + 1) * 40_503) % 65_521));
    const [first, second] = segments(work, work) as [Segment, Segment];
    const shipper = new LogShipper(a, layout);
    shipper.ship(first, term(1), false);
    shipper.ship(second, term(1), false);
    await collector.untilMessages(2);
    const [one, other] = (collector.messages as LogFrame[]).map(({ payload }) => payload);
    const packed = other ?? Buffer.alloc(0);
    expect(packed.length).toBeLessThan((one?.length ?? 0) / 2);
    const together = new SegmentUnpacker(layout);
    together.unpack(one ?? packed);
    expect(together.unpack(packed)).toEqual(second.bytes);
    expect(() => new SegmentUnpacker(layout).unpack(packed)).toThrow();
    a.close('done');
  });

  it('ships a segment as it is when it is told to, and packs the next one all the same', async () => {
    const { a, b } = memoryLinkPair();
    const collector = new Collector(b);
    const work = Array.from({ length: 60 }, (_, number) => step(((number + 1) * 40_503) % 65_521));
    const all = segments(work, work, work);
    const shipper = new LogShipper(a, layout);
    for (const [number, segment] of all.entries()) shipper.ship(segment, term(1), number === 1);
    await collector.untilMessages(3);
    const payloads = (collector.messages as LogFrame[]).map(({ payload }) => payload);
    const [first = 0, plain = 0, last = 0] = payloads.map(({ length }) => length);
    expect(plain).toBe((all[1] as Segment).bytes.length + packHeadBytes);
    expect(last).toBeLessThan(first / 2);
    const unpacker = new SegmentUnpacker(layout);
    expect(payloads.map((payload) => unpacker.unpack(payload))).toEqual(
      all.map(({ bytes }) => bytes),
    );
    a.close('done');
  });
});

describe('the end of a recording', () => {
  it('leaves out what QEMU adds, and keeps what the guest did', () => {
    // Goal: the copy of a guest that goes off executes the guest's shutdown, not the host's.
    const [whole] = segments([step(3), off('guest-shutdown'), off('host-signal'), { kind: 'end' }]);
    const [kept] = segments([step(3), off('guest-shutdown')]);
    expect(withoutEnd(whole as Segment)).toEqual(kept);
  });

  it('leaves any other segment as it is', () => {
    const [segment] = segments([step(3), off('guest-shutdown')]);
    expect(withoutEnd(segment as Segment)).toBe(segment);
  });

  it('QEMU’s two events come by themselves: nothing is left, positions go on', () => {
    const [first, last] = segments([step(3)], [off('host-signal'), { kind: 'end' }]);
    const cut = withoutEnd(last as Segment);
    expect([cut.bytes.length, cut.from, cut.to]).toEqual([0, first?.to, first?.to]);
  });

  it('file was read between the two events: END alone takes nothing of the guest', () => {
    const [, last] = segments([step(3), off('host-signal')], [{ kind: 'end' }]);
    const cut = withoutEnd(last as Segment);
    expect([cut.bytes.length, cut.to]).toEqual([0, last?.from]);
  });
});
