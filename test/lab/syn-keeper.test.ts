// A lost connection attempt must be sent again until the guest answers, and never after.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SynKeeper, tcpSegment } from '../../src/lab/syn-keeper.ts';

const SYN = 0x02;
const RST_ACK = 0x14;
const SYN_ACK = 0x12;

/** A frame with a TCP segment from client port to port 80 of the guest, or back. */
function segment(port: number, flags: number, back = false): Buffer {
  const frame = Buffer.alloc(60);
  frame.writeUInt16BE(0x0800, 12);
  frame.writeUInt8(0x45, 14);
  frame.writeUInt8(6, 23);
  const [client, guest] = [0x0a4d0001, 0x0a4d0002];
  frame.writeUInt32BE(back ? guest : client, 26);
  frame.writeUInt32BE(back ? client : guest, 30);
  frame.writeUInt16BE(back ? 80 : port, 34);
  frame.writeUInt16BE(back ? port : 80, 36);
  frame.writeUInt8(flags, 47);
  return frame;
}

let sent: Buffer[];
let keeper: SynKeeper;
beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  keeper = new SynKeeper((frame) => sent.push(frame));
});
afterEach(() => {
  keeper.stop();
  vi.useRealTimers();
});

test('repeats once a second until the guest answers', () => {
  const syn = segment(5000, SYN);
  keeper.toGuest(syn);
  vi.advanceTimersByTime(2500);
  expect(sent).toEqual([syn, syn]);
  keeper.fromGuest(segment(5000, SYN_ACK, true));
  vi.advanceTimersByTime(60_000);
  expect(sent.length).toBe(2);
});

test('a refusal is an answer; an answer to somebody else is none', () => {
  keeper.toGuest(segment(5000, SYN));
  keeper.toGuest(segment(5001, SYN));
  keeper.fromGuest(segment(5001, RST_ACK, true));
  vi.advanceTimersByTime(1500);
  expect(sent).toEqual([segment(5000, SYN)]);
});

test('gives up in the end, and repeats nothing but connection attempts', () => {
  keeper.toGuest(segment(5000, SYN));
  keeper.toGuest(segment(5001, 0x18));
  keeper.toGuest(Buffer.alloc(60));
  vi.advanceTimersByTime(60_000);
  expect(sent.length).toBe(8);
});

test('a frame that claims more header than it has is no segment', () => {
  const frame = segment(5000, SYN);
  frame.writeUInt8(0x4f, 14);
  expect(tcpSegment(frame)).toBeUndefined();
  expect(tcpSegment(Buffer.alloc(10))).toBeUndefined();
});
