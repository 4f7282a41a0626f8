// A reset of the guest happens behind the same part of its clock in a replayer as in the recorder.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ResetFilter } from '../../../src/hypervisor/replay/reset-filter.ts';
import { encodeEvent, type LogEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';

const layout = layoutFor('7.2');
const bytesOf = (...events: LogEvent[]): Buffer =>
  Buffer.concat(events.map((event) => encodeEvent(layout, event)));

const instructions: LogEvent = { kind: 'instruction', count: 568 };
const start: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-warp-start' };
const account: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-warp-account' };
const reset: LogEvent = { kind: 'checkpoint', checkpoint: 'reset-requested' };
const clock = (value: number): LogEvent => ({
  kind: 'clock',
  clock: 'virtual-rt',
  value: BigInt(value),
});

const net: LogEvent = {
  ...{ kind: 'net', id: 0, flags: 0 },
  data: Buffer.from('a frame'),
};
const bottomHalf: LogEvent = { kind: 'bh', scheduledAt: 7 };

/** The events one by one, as a node that reads a log while it is written may get them. */
const filtered = (events: readonly LogEvent[], atOnce = events.length): Buffer => {
  const filter = new ResetFilter(layout);
  const parts: Buffer[] = [];
  for (let at = 0; at < events.length; at += atOnce) {
    parts.push(filter.push(bytesOf(...events.slice(at, at + atOnce))));
  }
  return Buffer.concat([...parts, filter.flush()]);
};

describe('the log around a reset', () => {
  it.each([1, 2, 3, 9])('a warp that the paused vCPU ended comes first, %i at a time', (atOnce) => {
    const events = [instructions, start, clock(10), reset, account, clock(31), clock(52), account];
    expect(filtered(events, atOnce)).toEqual(
      bytesOf(instructions, start, clock(10), account, clock(31), reset, clock(52), account),
    );
  });

  it.each([
    [
      'frames that it delivered, and the warp behind them',
      [start, clock(10), reset, net, net, account, clock(31), clock(52), account],
      [start, clock(10), net, net, account, clock(31), reset, clock(52), account],
    ],
    [
      'what it delivered when no warp was under way',
      [reset, bottomHalf, account, instructions],
      [bottomHalf, account, reset, instructions],
    ],
    [
      'what it delivered when it went round once more; the second clock is the main loop’s',
      [reset, account, clock(31), net, account, clock(52), account],
      [account, clock(31), net, account, reset, clock(52), account],
    ],
    [
      'what is whole when the log ends',
      [reset, net, account, clock(31), net],
      [net, account, clock(31), reset, net],
    ],
  ])('what the paused vCPU did comes first: %s', (_, events, expected) => {
    expect(filtered(events)).toEqual(bytesOf(...expected));
    expect(filtered(events, 1)).toEqual(bytesOf(...expected));
  });

  it.each([
    ['the vCPU was asleep', [start, clock(10), reset, clock(31), account, clock(52)]],
    ['it was woken behind the reset', [reset, clock(31), net, account, clock(52)]],
    ['what was delivered is not followed by its turn', [reset, net, instructions, account]],
    ['no warp was under way', [reset, account, instructions]],
    ['the log ends there', [start, clock(10), reset, account]],
    ['the log ends with it', [start, clock(10), reset]],
  ])('is left as it is: %s', (_, events) => {
    expect(filtered(events)).toEqual(bytesOf(...events));
    expect(filtered(events, 1)).toEqual(bytesOf(...events));
  });

  it('is the same log wherever it is cut, and nothing is lost', () => {
    const event = fc.constantFrom(instructions, start, account, reset, net, clock(7));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), fc.integer({ min: 1, max: 9 }), (log, n) => {
        expect(filtered(log, n)).toEqual(filtered(log));
        expect(filtered(log).length).toBe(bytesOf(...log).length);
      }),
    );
  });
});
