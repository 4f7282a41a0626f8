// A replayer's main loop must not sleep where its next turn is known, and must not be told anything
// else about time.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SleepFilter } from '../../../src/hypervisor/replay/sleep-filter.ts';
import { encodeEvent, type LogEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';

const layout = layoutFor('7.2');
const bytesOf = (...events: LogEvent[]): Buffer =>
  Buffer.concat(events.map((event) => encodeEvent(layout, event)));
const filtered = (...events: LogEvent[]): Buffer =>
  new SleepFilter(layout).push(bytesOf(...events));

const turn: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-virtual-rt' };
const start: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-warp-start' };
const account: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-warp-account' };
const instructions: LogEvent = { kind: 'instruction', count: 9 };
const clock = (value: number): LogEvent => ({
  kind: 'clock',
  clock: 'virtual-rt',
  value: BigInt(value),
});
const past = 2_000_000_000;

describe('the clock by which a main loop sleeps', () => {
  it.each([
    ['a turn', turn],
    ['the start of a warp', start],
  ])('is past every deadline where %s follows', (_, next) => {
    expect(filtered(turn, clock(10), clock(12), next, clock(20))).toEqual(
      bytesOf(turn, clock(10), clock(12 + past), next, clock(20)),
    );
  });

  it('is the last one of a turn in which a warp ended', () => {
    expect(filtered(turn, clock(10), clock(11), clock(12), turn)).toEqual(
      bytesOf(turn, clock(10), clock(11), clock(12 + past), turn),
    );
  });

  it.each([
    ['the vCPU is next', [turn, clock(10), clock(12), account, instructions]],
    ['nobody knows what is next', [turn, clock(10), clock(12)]],
    ['the machine was stopped', [turn, clock(10), clock(10), turn]],
    ['the machine was stopped while a warp was under way', [turn, clock(10), clock(7), turn]],
    ['the loop did not ask', [turn, clock(10), turn]],
    ['the clocks are of a warp', [start, clock(10), clock(12), turn]],
  ])('is left as it is where %s', (_, events) => {
    expect(filtered(...events)).toEqual(bytesOf(...events));
  });

  it('is all that is changed', () => {
    const event = fc.oneof(
      fc.constantFrom(turn, start, account, instructions),
      fc.integer({ min: 1, max: 9 }).map(clock),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const given = bytesOf(...events);
        const before = Buffer.from(given);
        const fed = new SleepFilter(layout).push(given);
        expect(given).toEqual(before);
        const changed = events.map((one) =>
          one.kind === 'clock' ? { ...one, value: one.value + BigInt(past) } : one,
        );
        let at = 0;
        events.forEach((one, index) => {
          const plain = bytesOf(one);
          const found = fed.subarray(at, at + plain.length);
          const late = bytesOf(changed[index] ?? one);
          expect([plain.toString('hex'), late.toString('hex')]).toContain(found.toString('hex'));
          at += plain.length;
        });
        expect(at).toBe(fed.length);
      }),
    );
  });
});
