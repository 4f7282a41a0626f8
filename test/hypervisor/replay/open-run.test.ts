// A replayer that executed an instruction and does not find what came of it ends. So it is never
// given a run of instructions before what is behind it.
import { expect, test } from 'vitest';
import { epoch } from '../../../src/base/units.ts';
import { OpenRun } from '../../../src/hypervisor/replay/open-run.ts';
import { encodeEvent, type LogEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { encodeMarkerFrame, markerHeadBytes } from '../../../src/rrlog/marker.ts';

const layout = layoutFor('7.2');
const log = (...events: LogEvent[]): Buffer =>
  Buffer.concat(events.map((event) => encodeEvent(layout, event)));
const run: LogEvent = { kind: 'instruction', count: 7 };
const write: LogEvent = { kind: 'char-write', result: 1, offset: 1 };

test('a run of instructions waits for what came of it', () => {
  const open = new OpenRun(layout);
  expect(open.push(log(write, run))).toEqual(log(write));
  expect(open.push(log())).toEqual(log());
  expect(open.push(log(write))).toEqual(log(run, write));
  expect(open.leaveOut()).toBe(0);
});

test('also behind markers', () => {
  const open = new OpenRun(layout);
  const data = encodeMarkerFrame(epoch(3)).subarray(0, markerHeadBytes);
  const marker = log({ kind: 'net', id: 0, flags: 0, data });
  expect(open.push(Buffer.concat([marker, marker, log(write, run)]))).toEqual(
    Buffer.concat([marker, marker, log(write)]),
  );
});

test('a run behind another one lets that go', () => {
  const open = new OpenRun(layout);
  expect(open.push(log(run))).toEqual(log());
  expect(open.push(log(run))).toEqual(log(run));
  expect(open.leaveOut()).toBe(7);
  expect(open.push(log(write))).toEqual(log(write));
});

test('where the machine stood still nothing else came of it', () => {
  const open = new OpenRun(layout);
  open.push(log(run));
  expect(open.flush()).toEqual(log(run));
  expect(open.leaveOut()).toBe(0);
});

test('bytes that look like a run at the end of another event are none', () => {
  const open = new OpenRun(layout);
  const clock = log({ kind: 'clock', clock: 'virtual-rt', value: 0n });
  expect(open.push(clock)).toEqual(clock);
});
