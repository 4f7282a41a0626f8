// A stop that was taken back must look to the replayer as it was for the primary: a warp that ended
// in a stopped machine added nothing to the guest's clock.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PauseFilter } from '../../../src/hypervisor/replay/pause-filter.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';

const layout = layoutFor('7.2');
const kind = (name: string): number => layout.names.indexOf(name);

const checkpoint = (name: string): Buffer => Buffer.from([kind(`checkpoint:${name}`)]);
const clock = (value: number): Buffer => {
  const event = Buffer.alloc(9);
  event[0] = kind('clock:virtual-rt');
  event.writeBigInt64BE(BigInt(value), 1);
  return event;
};
const instructions = (count: number): Buffer => {
  const event = Buffer.alloc(5);
  event[0] = kind('instruction');
  event.writeUInt32BE(count, 1);
  return event;
};
const start = (at: number): Buffer => Buffer.concat([checkpoint('clock-warp-start'), clock(at)]);
const account = checkpoint('clock-warp-account');
/** A turn of the main loop with the clocks that it read. */
const turn = (...clocks: number[]): Buffer =>
  Buffer.concat([checkpoint('clock-virtual-rt'), ...clocks.map(clock)]);

const filtered = (...events: Buffer[]): Buffer =>
  new PauseFilter(layout).push(Buffer.concat(events));

describe('the log around a stop', () => {
  it('a warp that is under way ends with nothing: the stopped turns read its beginning', () => {
    const found = filtered(instructions(7), start(100), turn(110, 111), turn(500, 500), account);
    const wanted = [instructions(7), start(100), turn(110, 111), turn(500, 100), account];
    expect(found).toEqual(Buffer.concat(wanted));
  });

  it('the first start of a warp counts, not a later one', () => {
    const found = filtered(start(100), turn(110, 111), start(120), turn(500, 500));
    expect(found).toEqual(Buffer.concat([start(100), turn(110, 111), start(120), turn(500, 100)]));
  });

  it.each([
    ['the vCPU ran since', [start(100), account, turn(500, 500)]],
    ['the warp ended in a turn before', [start(100), turn(110, 112, 113), turn(500, 500)]],
    ['no warp was ever started', [instructions(3), turn(500, 500)]],
    ['the machine runs: its clock does, too', [start(100), turn(500, 501)]],
  ])('leaves all as it is: %s', (_, events) => {
    expect(filtered(...events)).toEqual(Buffer.concat(events));
  });

  it('tells a turn in which a stopped machine re-armed the timer that judges its clock, and leaves that one', () => {
    const filter = new PauseFilter(layout);
    const rearmed = [start(100), turn(500, 500, 500)];
    expect(filter.push(Buffer.concat(rearmed))).toEqual(Buffer.concat(rearmed));
    expect([filter.takeRearmed(), filter.takeRearmed()]).toEqual([true, false]);
    filter.push(Buffer.concat([turn(510, 511, 512, 513), turn(600, 600), turn(700, 701, 701)]));
    expect(filter.takeRearmed()).toBe(false);
  });

  it('does not change what it was given', () => {
    const given = Buffer.concat([start(100), turn(500, 500)]);
    const before = Buffer.from(given);
    filtered(given);
    expect(given).toEqual(before);
  });

  it('does not depend on where the log is cut into segments', () => {
    const time = fc.integer({ min: 1, max: 5 });
    const event = fc.oneof(
      time.map(start),
      fc.constant(account),
      fc.array(time, { maxLength: 3 }).map((clocks) => turn(...clocks)),
      time.map(instructions),
    );
    fc.assert(
      fc.property(fc.array(fc.array(event, { maxLength: 5 })), (segments) => {
        const filter = new PauseFilter(layout);
        const parts = segments.map((events) => filter.push(Buffer.concat(events)));
        expect(Buffer.concat(parts)).toEqual(filtered(...segments.flat()));
      }),
    );
  });

  it('takes the start out that the primary’s cont only seemed to make', () => {
    const filter = new PauseFilter(layout);
    filter.push(turn(500, 500));
    filter.resumedHere();
    const found = filter.push(Buffer.concat([start(510), account, instructions(9)]));
    expect(Buffer.concat([found, filter.flush()])).toEqual(
      Buffer.concat([account, instructions(9)]),
    );
  });
});
