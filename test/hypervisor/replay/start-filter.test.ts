// Goal: exactly the warp start that did nothing on the primary is kept from a replayer.
import { expect, test } from 'vitest';
import { StartFilter } from '../../../src/hypervisor/replay/start-filter.ts';
import { encodeEvent, type LogEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';

const layout = layoutFor('7.2');
const bytes = (...events: LogEvent[]): Buffer =>
  Buffer.concat(events.map((event) => encodeEvent(layout, event)));

const warpStart: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-warp-start' };
const warpAccount: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-warp-account' };
const realTime: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-virtual-rt' };
const clock: LogEvent = { kind: 'clock', clock: 'virtual-rt', value: 5n };
const run: LogEvent = { kind: 'instruction', count: 100 };
const block: LogEvent = { kind: 'block', id: 7 };

/** Feeds the filter in pieces of whole events. */
function filter(...pieces: LogEvent[][]): Buffer {
  const start = new StartFilter(layout);
  return Buffer.concat(pieces.map((piece) => start.push(bytes(...piece))));
}

test('a warp start without effect is taken out, with its clock', () => {
  const fed = filter(
    [realTime, clock, clock, warpStart, clock, realTime, clock, clock],
    [warpAccount, run, block],
  );
  expect(fed).toEqual(
    bytes(realTime, clock, clock, realTime, clock, clock, warpAccount, run, block),
  );
});

test('a warp that ends when the vCPU begins stays', () => {
  const events = [warpStart, clock, realTime, clock, clock, warpAccount, clock, run];
  expect(filter(events)).toEqual(bytes(...events));
});

test('a warp that its own timer ended stays', () => {
  const events = [warpStart, clock, realTime, clock, clock, clock, warpAccount, run];
  expect(filter(events)).toEqual(bytes(...events));
});

test('a log without a warp start passes as it is, and so does everything later', () => {
  const first = [realTime, clock, clock, warpAccount, run];
  const later = [warpStart, clock, warpAccount, run, block];
  expect(filter(first, later)).toEqual(bytes(...first, ...later));
});

test('nothing is given while it is undecided, and nothing is lost then', () => {
  const start = new StartFilter(layout);
  expect(start.push(bytes(warpStart, clock)).length).toBe(0);
  expect(start.push(bytes(warpAccount)).length).toBe(0);
  expect(start.done).toBe(false);
  expect(start.push(bytes(clock, run))).toEqual(bytes(warpStart, clock, warpAccount, clock, run));
  expect(start.done).toBe(true);
});

test('a log that ends while it is undecided gives everything but the warp start', () => {
  const start = new StartFilter(layout);
  start.push(bytes(warpStart, clock, realTime, clock, clock));
  expect(start.flush()).toEqual(bytes(realTime, clock, clock));
  expect(start.push(bytes(run))).toEqual(bytes(run));
});

test('of two starts in one turn the first, that of cont, is taken out', () => {
  const later: LogEvent = { kind: 'clock', clock: 'virtual-rt', value: 9n };
  const warp = [warpStart, later, realTime, later, later, warpAccount, later, run];
  expect(filter([warpStart, clock, ...warp])).toEqual(bytes(...warp));
});
