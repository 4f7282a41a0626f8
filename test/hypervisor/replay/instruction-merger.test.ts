// What a replayer is fed may have fewer INSTRUCTION events; it executes the same instructions, and
// meets every event that matters at the same one.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InstructionMerger } from '../../../src/hypervisor/replay/instruction-merger.ts';
import { encodeEvent, type LogEvent } from '../../../src/rrlog/events.ts';
import { layoutFor } from '../../../src/rrlog/layouts.ts';
import { EventLogReader } from '../../../src/rrlog/reader.ts';

const layout = layoutFor('7.2');
const bytesOf = (...events: LogEvent[]): Buffer =>
  Buffer.concat(events.map((event) => encodeEvent(layout, event)));

const instructions = (count: number): LogEvent => ({ kind: 'instruction', count });
const account: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-warp-account' };
const timers: LogEvent = { kind: 'checkpoint', checkpoint: 'clock-virtual' };
const clock: LogEvent = { kind: 'clock', clock: 'virtual-rt', value: 5n };
const interrupt: LogEvent = { kind: 'interrupt' };
const frame: LogEvent = { kind: 'net', id: 1, flags: 0, data: Buffer.alloc(60, 3) };

const merged = (...events: LogEvent[]): Buffer =>
  new InstructionMerger(layout).push(bytesOf(...events));

/**
 * Every event but the two kinds in question, and checkpoints with something behind them, with its
 * icount.
 */
function whatMatters(bytes: Buffer): { events: string[]; icount: number } {
  const reader = new EventLogReader({ layout, expectHeader: false, input: 'stripped' });
  reader.push(bytes);
  const all: { name: string; text: string }[] = [];
  let icount = 0;
  while (reader.next()) {
    icount = reader.icount;
    const name = layout.names[reader.kind] ?? '';
    all.push({ name, text: `${icount} ${name} ${reader.raw().toString('hex')}` });
  }
  const plain = ['instruction', 'checkpoint:clock-warp-account'];
  const events = all.filter(({ name }, at) => {
    if (!plain.includes(name)) return true;
    const next = all[at + 1]?.name;
    return name !== 'instruction' && next !== undefined && !plain.includes(next);
  });
  return { events: events.map(({ text }) => text), icount };
}

describe('what a replayer is fed', () => {
  it('a guest that polls is executed in one go', () => {
    const polls = Array.from({ length: 1000 }, () => [instructions(10), account]).flat();
    expect(merged(account, ...polls, interrupt)).toEqual(
      bytesOf(account, instructions(10_000), account, interrupt),
    );
  });

  it.each([
    ['the first checkpoint', [timers, instructions(7), account, instructions(8)]],
    ['a warp that ends', [account, instructions(7), account, clock, instructions(8)]],
    ['a timer', [account, instructions(7), timers, instructions(8)]],
    ['a timer behind the checkpoint', [account, instructions(7), account, timers, instructions(8)]],
    ['an interrupt', [account, instructions(7), interrupt, account, instructions(8)]],
    ['a frame', [account, instructions(7), frame, account, instructions(8)]],
    [
      'more than a replayer should execute at once',
      [account, instructions(1_999_999), account, instructions(2)],
    ],
  ])('is left as it is: %s', (_, events) => {
    expect(merged(...events)).toEqual(bytesOf(...events));
  });

  it('meets every event that matters at the same instruction, wherever the log is cut', () => {
    const event = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 900_000 }).map(instructions) },
      { weight: 4, arbitrary: fc.constant(account) },
      { weight: 1, arbitrary: fc.constantFrom(timers, clock, interrupt, frame) },
    );
    fc.assert(
      fc.property(fc.array(fc.array(event, { maxLength: 12 }), { maxLength: 6 }), (segments) => {
        const merger = new InstructionMerger(layout);
        const fed = Buffer.concat(segments.map((events) => merger.push(bytesOf(...events))));
        const given = bytesOf(...segments.flat());
        expect(whatMatters(fed)).toEqual(whatMatters(given));
        expect(fed.length).toBeLessThanOrEqual(given.length);
      }),
    );
  });

  it('does not change what it was given', () => {
    const given = bytesOf(account, instructions(7), account, instructions(8), interrupt);
    const before = Buffer.from(given);
    new InstructionMerger(layout).push(given);
    expect(given).toEqual(before);
  });
});
