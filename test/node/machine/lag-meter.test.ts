// A copy that waits for log must not be taken for a stalled one, and a stalled one must be found.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { epoch } from '../../../src/base/units.ts';
import { LagMeter } from '../../../src/node/machine/lag-meter.ts';

class Copy {
  idle = false;
  samples = 0;
  readBytes = 0;
  readonly stalls: string[] = [];
  standing = 0;
  readonly moved: number[] = [];
  readonly meter = new LagMeter({
    idle: () => this.idle,
    readBytes: () => this.readBytes,
    onSample: () => {
      this.samples += 1;
    },
    onStanding: () => {
      this.standing += 1;
    },
    onMoved: (stoodMs) => {
      this.moved.push(Math.round(stoodMs));
    },
    onStall: (reason) => {
      this.stalls.push(reason);
      this.meter.stop();
    },
  });
  #nextEpoch = 1;

  /** A segment that ends with a marker. */
  marked(icount: number): void {
    this.meter.received(icount, [{ epoch: epoch(this.#nextEpoch), icount }]);
    this.#nextEpoch += 1;
  }
}

const wait = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('the lag meter', () => {
  let copy: Copy;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    copy = new Copy();
    copy.meter.start(100);
  });
  afterEach(() => {
    copy.meter.stop();
    vi.useRealTimers();
  });

  it('lag is the age of the oldest log that is not known to be executed', async () => {
    copy.marked(200);
    await wait(40);
    copy.marked(300);
    expect(copy.meter.ms).toBeCloseTo(40);
    copy.meter.echoed(epoch(1));
    expect([copy.meter.ms, copy.meter.appliedIcount]).toEqual([0, 200]);
    await wait(10);
    expect(copy.meter.ms).toBeCloseTo(10);
    copy.meter.echoed(epoch(2));
    expect([copy.meter.ms, copy.meter.appliedIcount]).toEqual([0, 300]);
  });

  it('log behind the last marker is not known to be executed', async () => {
    copy.marked(200);
    copy.meter.received(250, []);
    copy.meter.echoed(epoch(1));
    await wait(10);
    expect(copy.meter.ms).toBeCloseTo(10);
  });

  it('one echo stands for all before it, and one that nobody waits for for none', () => {
    for (const icount of [200, 300, 400]) copy.marked(icount);
    copy.meter.echoed(epoch(9));
    expect(copy.meter.appliedIcount).toBe(100);
    copy.meter.echoed(epoch(2));
    expect(copy.meter.appliedIcount).toBe(300);
  });

  it('tells how it stands now and then, but not while the copy is idle', async () => {
    await wait(limits.lagPollMs * 3);
    expect(copy.samples).toBe(3);
    copy.idle = true;
    await wait(limits.lagPollMs * 3);
    expect(copy.samples).toBe(3);
  });

  it('primary has nothing to say: a silent copy is no stalled copy', async () => {
    await wait(limits.stallMs * 5);
    expect(copy.stalls).toEqual([]);
  });

  it('a marker waits and nothing comes back: a stall, with both positions', async () => {
    copy.marked(200);
    await wait(limits.stallMs - limits.lagPollMs);
    expect(copy.stalls).toEqual([]);
    await wait(limits.lagPollMs * 2);
    expect(copy.stalls).toHaveLength(1);
    expect(copy.stalls[0]).toContain('stands at icount 100, the log goes to 200');
  });

  it('slow but moving copy is left alone', async () => {
    for (let icount = 101; icount < 110; icount += 1) copy.marked(icount);
    for (let at = 1; at < 10; at += 1) {
      await wait(limits.stallMs - limits.lagPollMs);
      copy.meter.echoed(epoch(at));
    }
    expect(copy.stalls).toEqual([]);
  });

  it('copy that reads log without an echo is left alone, and found when it stops', async () => {
    copy.marked(200);
    for (let second = 0; second < 10; second += 1) {
      copy.readBytes += 1;
      await wait(1000);
    }
    expect(copy.stalls).toEqual([]);
    await wait(limits.stallMs);
    expect(copy.stalls).toHaveLength(1);
  });

  it('copy that stands still on purpose is left alone, and gets its full time afterwards', async () => {
    copy.marked(200);
    copy.idle = true;
    await wait(limits.stallMs * 3);
    copy.idle = false;
    await wait(limits.stallMs - limits.lagPollMs);
    expect(copy.stalls).toEqual([]);
    await wait(limits.lagPollMs * 2);
    expect(copy.stalls).toHaveLength(1);
  });

  it('log comes after a long calm: the calm does not count', async () => {
    await wait(limits.stallMs * 2);
    copy.marked(200);
    await wait(limits.stallMs / 2);
    expect(copy.stalls).toEqual([]);
  });

  it('tells that a copy stands still long before it has stalled, again and again, and when it moves', async () => {
    copy.marked(200);
    await wait(limits.standingMs - limits.lagPollMs);
    expect(copy.standing).toBe(0);
    await wait(10 * limits.lagPollMs);
    expect(copy.standing).toBeGreaterThanOrEqual(9);
    expect([copy.moved, copy.stalls]).toEqual([[], []]);
    copy.meter.echoed(epoch(1));
    await wait(limits.lagPollMs);
    const stoodMs = limits.standingMs + 9 * limits.lagPollMs;
    expect(copy.moved).toEqual([stoodMs]);
    const { standing } = copy;
    await wait(1000); // with nothing to do
    expect([copy.standing, copy.moved.length]).toEqual([standing, 1]);
  });

  it('a copy that reads log, or is compared, does not stand still', async () => {
    copy.marked(200);
    for (let n = 0; n < 20; n += 1) {
      copy.readBytes += 1;
      await wait(limits.lagPollMs);
    }
    copy.idle = true;
    await wait(2000);
    expect([copy.standing, copy.moved, copy.stalls]).toEqual([0, [], []]);
  });
});
