// Goal: the primary runs freely while its backup follows, and never stands still altogether.
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { icount, type Millis } from '../../src/base/units.ts';
import {
  FlowControl,
  type FlowEffect,
  type FlowEvent,
  spoolShare,
  throttleShare,
} from '../../src/core/flow-control.ts';

test('a backup within the soft bound costs nothing', () => {
  expect(throttleShare(0)).toBe(0);
  expect(throttleShare(limits.softLagMs)).toBe(0);
});

test('a backup far behind gets all that may be given', () => {
  expect(throttleShare(limits.fullThrottleLagMs)).toBe(limits.throttleShareMax);
  expect(throttleShare(60_000)).toBe(limits.throttleShareMax);
  expect(limits.throttleShareMax).toBeLessThan(1);
});

test('more lag never means less throttling', () => {
  const lag = fc.double({ min: 0, max: 100_000, noNaN: true });
  fc.assert(
    fc.property(lag, lag, (a, b) => {
      const [less, more] = a < b ? [a, b] : [b, a];
      expect(throttleShare(more)).toBeGreaterThanOrEqual(throttleShare(less));
    }),
  );
});

describe('the share of time that a spool asks for', () => {
  it('is nothing up to a half, and the most that may be before the spool is full', () => {
    expect(spoolShare(50, 100)).toBe(0);
    expect(spoolShare(70, 100)).toBeCloseTo(limits.throttleShareMax / 2);
    expect(spoolShare(95, 100)).toBe(limits.throttleShareMax);
    expect(spoolShare(0, 0)).toBe(0);
  });

  it('never falls when more is used', () => {
    const used = fc.nat(200);
    fc.assert(
      fc.property(used, used, (a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        expect(spoolShare(less, 100)).toBeLessThanOrEqual(spoolShare(more, 100));
      }),
    );
  });
});

describe('flow control', () => {
  const at = (ms: number) => ms as Millis;
  const shipped = (instructions: number, bytes = 100): FlowEvent => ({
    type: 'shipped',
    bytes,
    marker: icount(instructions),
  });
  const unmarked = (bytes: number): FlowEvent => ({ type: 'shipped', bytes, marker: undefined });
  const executed = (instructions: number): FlowEvent => ({
    type: 'executed',
    icount: icount(instructions),
  });
  /** Of a granted backup that executes. */
  const flowing = (policy: 'hold' | 'runAlone'): FlowControl => {
    const flow = new FlowControl(policy);
    flow.step(executed(0), at(0));
    flow.step({ type: 'granted' }, at(0));
    return flow;
  };
  /** Ticks from `from` to `to` every 100 ms; all effects. */
  const pass = (flow: FlowControl, from: number, to: number): FlowEffect[] => {
    const effects: FlowEffect[] = [];
    for (let ms = from; ms <= to; ms += 100) effects.push(...flow.step({ type: 'timer' }, at(ms)));
    return effects;
  };
  const bound = limits.hardLagMs + limits.hardLagHoldMs;

  it('slows the primary down for a lag and lets it go when the backup has caught up (1, 2)', () => {
    const flow = flowing('runAlone');
    flow.step(shipped(10), at(0));
    expect(pass(flow, 100, 100)).toEqual([{ type: 'slowDown', share: throttleShare(100) }]);
    flow.step(executed(10), at(150));
    expect(pass(flow, 200, 200)).toEqual([{ type: 'slowDown', share: 0 }]);
    expect([flow.bytes, flow.lagMs(at(200))]).toEqual([0, 0]);
  });

  it('a lag that stays: run alone gives the backup up, once (4)', () => {
    const flow = flowing('runAlone');
    flow.step(shipped(10), at(0));
    const effects = pass(flow, 0, 2 * bound).map(({ type }) => type);
    expect(effects.filter((type) => type === 'giveBackupUp')).toHaveLength(1);
    expect(effects.at(-1)).toBe('giveBackupUp');
  });

  it('a lag that stays: hold stops the guest until it is half as bad (4)', () => {
    const flow = flowing('hold');
    flow.step(shipped(10), at(0));
    flow.step(shipped(20), at(bound));
    expect(pass(flow, 0, bound + 100).at(-1)).toEqual({ type: 'stopGuest' });
    flow.step(executed(10), at(bound + 150));
    expect(pass(flow, bound + 200, bound + 200)).toEqual([{ type: 'continueGuest' }]);
  });

  it('too many bytes are too much at once (4)', () => {
    const flow = flowing('hold');
    flow.step(shipped(10, limits.hardBacklogBytes + 1), at(0));
    expect(pass(flow, 0, 0)).toEqual([{ type: 'stopGuest' }]);
  });

  it('log that no marker is behind is no lag, however old, but it is bytes (4, 5)', () => {
    const flow = flowing('hold');
    flow.step(unmarked(70), at(0));
    expect(pass(flow, 0, 3 * bound)).toEqual([]);
    expect([flow.bytes, flow.lagMs(at(3 * bound))]).toEqual([70, 0]);
    flow.step(shipped(10, 30), at(3 * bound));
    expect(flow.lagMs(at(3 * bound + 40))).toBe(40);
    flow.step(executed(10), at(3 * bound + 50));
    expect([flow.bytes, flow.lagMs(at(4 * bound))]).toEqual([0, 0]);
    flow.step(unmarked(limits.hardBacklogBytes + 1), at(4 * bound));
    expect(pass(flow, 4 * bound, 4 * bound)).toEqual([{ type: 'stopGuest' }]);
  });

  it('what the link takes is no lag, and what is more than that is (6)', () => {
    // Goal: a pair over a long link runs freely as long as its copy follows.
    const flow = flowing('runAlone');
    const tick = (ms: number) => flow.step({ type: 'timer', roundTripMs: 200 }, at(ms));
    flow.step(shipped(10), at(0));
    expect([tick(100), tick(200 + limits.softLagMs)]).toEqual([[], []]);
    expect(tick(300)).toEqual([{ type: 'slowDown', share: throttleShare(100) }]);
    expect(flow.lagMs(at(300))).toBe(100);
    const late = bound + 200;
    for (let ms = 400; ms <= late; ms += 100) {
      expect(tick(ms).map(({ type }) => type)).not.toContain('giveBackupUp');
    }
    const later: FlowEffect[] = [];
    for (let ms = late; ms <= 2 * late; ms += 100) later.push(...tick(ms));
    expect(later.map(({ type }) => type)).toContain('giveBackupUp');
  });

  it('a backup that executes nothing for long costs no memory, and no lag is forgotten (7)', () => {
    const flow = flowing('hold');
    for (let i = 1; i <= limits.backlogEntriesMax * 2; i += 1) flow.step(shipped(i, 1), at(i));
    flow.step(executed(limits.backlogEntriesMax * 2 - 1), at(0));
    expect(flow.lagMs(at(limits.backlogEntriesMax * 2))).toBeGreaterThanOrEqual(1);
    flow.step(executed(limits.backlogEntriesMax * 2), at(0));
    expect(flow.bytes).toBe(0);
  });

  it('a backup that is still seeded, or catches up behind its seed, is not given up (3)', () => {
    const flow = new FlowControl('runAlone');
    flow.step(shipped(10), at(0));
    expect(pass(flow, 0, 2 * bound)).toEqual([]);
    flow.step(executed(5), at(2 * bound));
    const types = pass(flow, 2 * bound, 4 * bound).map(({ type }) => type);
    expect(types).toEqual(['slowDown']);
  });
});
