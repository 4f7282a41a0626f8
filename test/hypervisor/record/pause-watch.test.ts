// A pause is what QEMU says of it, or nothing.
import { expect, it } from 'vitest';
import type { QmpEvent } from '../../../src/hypervisor/qemu/monitor.ts';
import { watchPause } from '../../../src/hypervisor/record/pause-watch.ts';

const at = (event: string, seconds: number, microseconds: number): QmpEvent => ({
  event,
  timestamp: { seconds, microseconds },
});

function told(...events: QmpEvent[]): number | undefined {
  let listener: (event: QmpEvent) => void = () => undefined;
  let closed = false;
  const watch = watchPause({
    onEvent: (given) => {
      listener = given;
      return () => {
        closed = true;
      };
    },
  });
  for (const event of events) listener(event);
  watch.close();
  expect(closed).toBe(true);
  return watch.ms();
}

it('counts from the first stop to the first time it went on', () => {
  const again = [at('STOP', 9, 0), at('RESUME', 10, 0)];
  expect(told(at('STOP', 7, 999_000), at('RESUME', 8, 4_500), ...again)).toBeCloseTo(5.5);
});

it.each([
  ['nothing', []],
  ['no end', [at('STOP', 7, 0)]],
  ['a clock that was set back', [at('STOP', 7, 0), at('RESUME', 6, 0)]],
  ['a clock that could not be read', [at('STOP', -1, -1), at('RESUME', 6, 0)]],
])('says nothing of %s', (_, events) => {
  expect(told(...events)).toBeUndefined();
});
