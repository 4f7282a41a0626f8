// A backup must get every byte of log since its cut, and what is said at a position right behind
// it.
import { describe, expect, it } from 'vitest';
import { logPosition, term } from '../../../src/base/units.ts';
import { LogShipper } from '../../../src/node/machine/log-shipper.ts';
import { withoutEnd } from '../../../src/node/machine/without-end.ts';
import type { Control, LinkMessage, LogFrame } from '../../../src/ports/link.ts';
import { encodeEvent, type LogEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { LogTail, type Segment } from '../../../src/rrlog/log-tail.ts';
import { SegmentUnpacker } from '../../../src/rrlog/packer.ts';
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
const drill: Control = { type: 'drill' };

describe('the log shipper', () => {
  it('ships whole segments from the cut on, and nothing before it', async () => {
    const { a, b } = memoryLinkPair();
    const collector = new Collector(b);
    const [before, first, second] = segments([step(5)], [step(7), step(9)], [step(11)]) as [
      Segment,
      Segment,
      Segment,
    ];
    const shipper = new LogShipper(a, layout, term(1), first.from);
    for (const segment of [before, first, second]) shipper.ship(segment);
    await collector.untilMessages(2);
    const unpacker = new SegmentUnpacker(layout);
    const tail = newTail(first.from);
    const frames = collector.messages as LogFrame[];
    expect(frames.map(({ from, to, icount }) => ({ from, to, icount }))).toEqual(
      [first, second].map(({ from, to, icount }) => ({ from, to, icount })),
    );
    for (const frame of frames) {
      expect(frame.rawBytes).toBeGreaterThan(0);
      tail.push(unpacker.unpack(frame.payload));
    }
    expect([tail.position, tail.icount]).toEqual([second.to, 27]);
    expect(shipper.wireBytes).toBe(frames.reduce((sum, { payload }) => sum + payload.length, 0));
    a.close('done');
  });

  it('keeps an appointment exactly at its position', async () => {
    // Goal: a cut is compared against the log up to it, neither more nor less.
    const { a, b } = memoryLinkPair();
    const collector = new Collector(b);
    const all = segments([step(1)], [step(2)], [step(3)]) as [Segment, Segment, Segment];
    const shipper = new LogShipper(a, layout, term(1), all[0].from);
    const say = () => a.send({ kind: 'control', term: term(1), control: drill });
    shipper.at(all[1].to, say);
    for (const segment of all) shipper.ship(segment);
    shipper.at(all[2].to, say); // for where it is already: at once
    await collector.untilMessages(5);
    const kinds = collector.messages.map(({ kind }: LinkMessage) => kind);
    expect(kinds).toEqual(['log', 'log', 'control', 'log', 'control']);
    a.close('done');
  });

  it('appointment in the past is a bug and says so', () => {
    const { a } = memoryLinkPair();
    const [first] = segments([step(1)]) as [Segment];
    const shipper = new LogShipper(a, layout, term(1), first.from);
    shipper.ship(first);
    expect(() => shipper.at(first.from, () => undefined)).toThrow('past position 12');
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
