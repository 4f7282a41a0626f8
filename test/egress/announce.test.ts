// Announcements are what moves a switch's traffic to the new speaker: bytes and times matter.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Announcer, announceFrame } from '../../src/egress/announce.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('the frame is the one that QEMU announces itself with', () => {
  expect(announceFrame('52:54:00:12:34:56').toString('hex')).toBe(
    'ffffffffffff525400123456803500010800060400035254001234560000000052540012345600000000' +
      '00'.repeat(18),
  );
});

test('a wrong address is refused by name', () => {
  expect(() => announceFrame('52:54:00:12:34')).toThrow(/Cannot announce '52:54:00:12:34'/);
});

test('sends at once, then after 50, 150 and 250 ms, each address once', () => {
  const sent: number[] = [];
  const start = Date.now();
  const announcer = new Announcer((frames) => {
    for (const _ of frames) sent.push(Date.now() - start);
  });
  announcer.start(['52:54:00:00:00:01', '52:54:00:00:00:02', '52:54:00:00:00:01']);
  vi.advanceTimersByTime(1000);
  expect(sent).toEqual([0, 0, 50, 50, 150, 150, 250, 250]);
});

test('a new series replaces the one that runs, and stop ends it', () => {
  const sent: string[] = [];
  const announcer = new Announcer((frames) => {
    sent.push(...frames.map((frame) => frame.toString('hex', 6, 12)));
  });
  announcer.start(['52:54:00:00:00:01']);
  vi.advanceTimersByTime(60);
  announcer.start(['52:54:00:00:00:02']);
  vi.advanceTimersByTime(60);
  announcer.stop();
  vi.advanceTimersByTime(1000);
  expect(sent).toEqual(['525400000001', '525400000001', '525400000002', '525400000002']);
});
