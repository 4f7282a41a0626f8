/** A log like that of an idle guest with a 1 ms tick: for size and speed, not for meaning. */
import { encodeEvent, type LogEvent } from '../../src/rrlog/events.ts';
import type { Layout } from '../../src/rrlog/layouts.ts';

/** A small deterministic generator (mulberry32): numbers from 0 to below 1. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * `ticks` turns of the main loop, each with the events, in the proportions, of a recorded firmware
 * boot, and now and then an interrupt, a disk completion and a frame.
 */
export function idleLog(layout: Layout, ticks: number, seed = 1): Buffer {
  const random = seeded(seed);
  const pieces: Buffer[] = [];
  let host = 1_795_252_926_842_000_000n;
  let real = 0n;
  let request = 0;
  const put = (event: LogEvent) => pieces.push(encodeEvent(layout, event));
  const clock = (name: 'host' | 'virtual-rt') => {
    const step = BigInt(Math.floor(random() * 4000));
    if (name === 'host') host += step;
    else real += step;
    put({ kind: 'clock', clock: name, value: name === 'host' ? host : real });
  };
  for (let tick = 0; tick < ticks; tick++) {
    clock('virtual-rt');
    put({ kind: 'checkpoint', checkpoint: 'clock-warp-start' });
    clock('host');
    put({ kind: 'checkpoint', checkpoint: 'clock-host' });
    clock('virtual-rt');
    put({ kind: 'checkpoint', checkpoint: 'clock-virtual-rt' });
    if (random() < 0.5) {
      put({ kind: 'checkpoint', checkpoint: 'clock-warp-account' });
      clock('virtual-rt');
      put({ kind: 'checkpoint', checkpoint: 'clock-virtual' });
    }
    put({ kind: 'instruction', count: 1 + Math.floor(random() * 4000) });
    put({ kind: random() < 0.5 ? 'interrupt' : 'exception' });
    host += 1_000_000n;
    real += 1_000_000n;
    if (random() < 0.02) put({ kind: 'block', id: request++ });
    if (random() < 0.01) {
      const data = Buffer.from(Array.from({ length: 90 }, () => Math.floor(random() * 256)));
      put({ kind: 'net', id: 0, flags: 0, data });
    }
  }
  return Buffer.concat(pieces);
}
