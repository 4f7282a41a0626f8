// Markers are often enough for what a takeover may have to execute, and seldom for an idle guest.
import { expect, test } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import type { Millis } from '../../src/base/units.ts';
import { MarkerPace } from '../../src/core/marker-pace.ts';

const at = (ms: number) => ms as Millis;

/** The first moment, from one marker on, at which the next one is due. */
function dueAfter(pace: MarkerPace, sentAt: number, mayBeSeldom = true): number {
  pace.take(at(sentAt));
  let ms = 0;
  while (!pace.isDue(mayBeSeldom, at(sentAt + ms))) ms += 1;
  return ms;
}

test('the first one is due at once, and each has the number behind the one before', () => {
  const pace = new MarkerPace(20);
  expect(pace.isDue(false, at(0))).toBe(true);
  expect([pace.take(at(0)), pace.take(at(1)), pace.take(at(30))]).toEqual([1, 2, 3]);
});

test('a busy guest: every epoch, counted from the last one that was sent', () => {
  const pace = new MarkerPace(20);
  pace.seen(1e9, at(10));
  pace.seen(2e9, at(30));
  expect([dueAfter(pace, 100), dueAfter(pace, 107)]).toEqual([20, 20]);
});

test('nothing is known of the guest yet: it counts as busy', () => {
  expect(dueAfter(new MarkerPace(20), 0)).toBe(20);
});

test('an idle guest: seldom, unless a seed or a grant wants them as usual', () => {
  const pace = new MarkerPace(20);
  pace.seen(1000, at(10));
  pace.seen(1000 + 20 * limits.idleInstructionsPerMs - 1, at(30));
  expect([dueAfter(pace, 100), dueAfter(pace, 200, false)]).toEqual([limits.idleEpochMs, 20]);
});

test('as many instructions as a guest may execute that does nothing: one more is work', () => {
  const pace = new MarkerPace(20);
  pace.seen(1000, at(10));
  pace.seen(1000 + 20 * limits.idleInstructionsPerMs, at(30));
  expect(dueAfter(pace, 100)).toBe(20);
});

test('an output ends the idleness at once, and for as long as it is in the last epoch', () => {
  const pace = new MarkerPace(20);
  pace.seen(1000, at(10));
  pace.seen(1001, at(30));
  pace.outputsArrived();
  expect(dueAfter(pace, 40)).toBe(20);
  pace.seen(1002, at(60));
  expect(dueAfter(pace, 60), 'it spoke in this one').toBe(20);
  pace.seen(1003, at(80));
  expect(dueAfter(pace, 80)).toBe(limits.idleEpochMs);
});

test('an epoch longer than that of an idle guest is not shortened by idleness', () => {
  const pace = new MarkerPace(limits.idleEpochMs * 2);
  pace.seen(0, at(10));
  pace.seen(0, at(30));
  expect(dueAfter(pace, 100)).toBe(limits.idleEpochMs * 2);
});
