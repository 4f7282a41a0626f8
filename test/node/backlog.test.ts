// Goal: the age of what a backup has not executed is right, and silent before it executes at all.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Backlog } from '../../src/node/backlog.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a backup that is still being filled has no age', () => {
  const backlog = new Backlog();
  backlog.shipped(10);
  vi.advanceTimersByTime(500);
  expect(backlog.ageMs).toBe(0);
});

test('the oldest part that was not executed counts', () => {
  const backlog = new Backlog();
  backlog.executed(0);
  backlog.shipped(10);
  vi.advanceTimersByTime(100);
  backlog.shipped(20);
  vi.advanceTimersByTime(50);
  expect(backlog.ageMs).toBe(150);
  backlog.executed(10);
  expect(backlog.ageMs).toBe(50);
  backlog.executed(20);
  expect(backlog.ageMs).toBe(0);
});
