// A copy that waits for log must not be taken for a stalled one, and a stalled one must be found.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { LagMeter } from '../../src/node/lag-meter.ts';

/** A meter of a copy that answers with `applied`, or not at all when that is undefined. */
class Copy {
  applied: number | undefined = 100;
  idle = false;
  readonly samples: number[] = [];
  readonly stalls: string[] = [];
  readonly meter = new LagMeter({
    query: (deadlineMs) =>
      this.applied === undefined
        ? new Promise((_, reject) => setTimeout(reject, deadlineMs, new Error('no answer')))
        : Promise.resolve(this.applied),
    idle: () => this.idle,
    onSample: ({ appliedIcount }) => this.samples.push(appliedIcount),
    onStall: (reason) => {
      this.stalls.push(reason);
      this.meter.stop();
    },
  });
}

describe('the lag meter', () => {
  let copy: Copy;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'performance'] });
    copy = new Copy();
    copy.meter.start(100);
  });
  afterEach(() => {
    copy.meter.stop();
    vi.useRealTimers();
  });

  it('lag is the age of the oldest log that is not executed', async () => {
    copy.meter.received(200);
    await vi.advanceTimersByTimeAsync(40);
    copy.meter.received(300);
    expect(copy.meter.lagMs(100)).toBeCloseTo(40);
    expect(copy.meter.lagMs(200)).toBeCloseTo(0);
    expect(copy.meter.lagMs(300)).toBe(0);
  });

  it('tells what was executed at each poll', async () => {
    copy.meter.received(200);
    copy.applied = 150;
    await vi.advanceTimersByTimeAsync(limits.lagPollMs);
    expect([copy.samples, copy.meter.appliedIcount]).toEqual([[150], 150]);
  });

  it('primary has nothing to say: a silent copy is no stalled copy', async () => {
    // Goal: R1; a replayer with a dry FIFO does not answer its monitor.
    copy.applied = undefined;
    await vi.advanceTimersByTimeAsync(limits.stallMs * 5);
    expect(copy.stalls).toEqual([]);
  });

  it('log waits and nothing is executed: a stall, with both positions', async () => {
    copy.meter.received(200);
    await vi.advanceTimersByTimeAsync(limits.stallMs - limits.lagPollMs);
    expect(copy.stalls).toEqual([]);
    await vi.advanceTimersByTimeAsync(limits.lagPollMs * 3);
    expect(copy.stalls).toHaveLength(1);
    expect(copy.stalls[0]).toContain('stands at icount 100, the log goes to 200');
  });

  it('log waits and the monitor is dead: a stall as well', async () => {
    copy.meter.received(200);
    copy.applied = undefined;
    await vi.advanceTimersByTimeAsync(limits.stallMs + limits.lagPollMs * 2);
    expect(copy.stalls).toHaveLength(1);
  });

  it('slow but moving copy is left alone', async () => {
    copy.meter.received(1000);
    for (let applied = 101; applied < 110; applied += 1) {
      copy.applied = applied;
      await vi.advanceTimersByTimeAsync(limits.stallMs - limits.lagPollMs);
    }
    expect(copy.stalls).toEqual([]);
  });

  it('copy that stands still on purpose is left alone, and gets its full time afterwards', async () => {
    copy.meter.received(200);
    copy.idle = true;
    await vi.advanceTimersByTimeAsync(limits.stallMs * 3);
    copy.idle = false;
    await vi.advanceTimersByTimeAsync(limits.stallMs - limits.lagPollMs);
    expect(copy.stalls).toEqual([]);
    await vi.advanceTimersByTimeAsync(limits.lagPollMs * 3);
    expect(copy.stalls).toHaveLength(1);
  });

  it('log comes after a long calm: the calm does not count', async () => {
    await vi.advanceTimersByTimeAsync(limits.stallMs * 2);
    copy.meter.received(200);
    await vi.advanceTimersByTimeAsync(limits.stallMs / 2);
    expect(copy.stalls).toEqual([]);
  });
});
