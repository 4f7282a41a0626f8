import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { limits } from '../../../src/base/limits.ts';
import { Throttle } from '../../../src/host/throttle.ts';
import { VcpuWaker } from '../../../src/hypervisor/record/vcpu-waker.ts';

/** The thread that runs this test: whoever asks for its state finds it running. */
const running = process.pid;

/** Nanoseconds that a process has had of a processor. */
const ranNs = (pid: number): number =>
  Number(fs.readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);

describe('waking the vCPU', () => {
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  function waker(
    threadId: number | undefined,
    {
      waits = (): boolean => false,
      mayWake = (): boolean => true,
      isSlowedDown = (): boolean => false,
    } = {},
  ) {
    const woken = { times: 0 };
    const pid = threadId ?? process.pid;
    const wake = () => {
      woken.times += 1;
    };
    const made = new VcpuWaker({ pid, threadId, waits, mayWake, isSlowedDown, wake });
    ends.push(() => made.close());
    return { waker: made, woken };
  }

  /** A process that sleeps as long as the test runs. */
  async function sleeping(): Promise<number> {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    ends.push(() => child.kill('SIGKILL'));
    await sleep(100);
    return child.pid ?? 0;
  }

  it('wakes a sleeping one at once for some frames, and stops looking soon', async () => {
    const { waker: made, woken } = waker(await sleeping());
    for (let frame = 0; frame < 3; frame += 1) made.frameGiven();
    await Promise.resolve();
    expect(woken.times).toBe(1);
    await sleep(50);
    expect(woken.times).toBe(limits.wakesForFrame);
  });

  it('leaves one that executes alone', async () => {
    const { waker: made, woken } = waker(running);
    made.frameGiven();
    made.markerGiven();
    await sleep(30);
    expect(woken.times).toBe(0);
  });

  it('goes on as long as a marker waits', async () => {
    let waits = true;
    const { waker: made, woken } = waker(await sleeping(), { waits: () => waits });
    made.markerGiven();
    await sleep(40);
    expect(woken.times).toBeGreaterThan(3);
    waits = false;
    await sleep(10);
    const before = woken.times;
    await sleep(30);
    expect(woken.times).toBe(before);
  });

  it('wakes one that did not run between two ticks, and none that did', async () => {
    const asleep = waker(await sleeping());
    const awake = waker(running);
    for (const { waker: made } of [asleep, awake]) made.tick();
    // The first look tells nothing.
    const before = [asleep.woken.times, awake.woken.times];
    await sleep(limits.vcpuSleepMs + 5);
    // A busy machine may take its time between two ticks, which would not be too soon then.
    const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    ends.push(() => now.mockRestore());
    for (const { waker: made } of [asleep, awake]) made.tick();
    expect([asleep.woken.times, awake.woken.times]).toEqual([1, before[1]]);
    asleep.waker.tick();
    expect(asleep.woken.times, 'too soon after the last look').toBe(1);
  });

  it('is not fooled by one that is stopped and continued in its sleep', async () => {
    // Goal: a guest that waits for its disk, and is slowed down, is told that the disk has
    // answered.
    const spinning = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
    ends.push(() => spinning.kill('SIGKILL'));
    await sleep(200);
    const ids = [await sleeping(), spinning.pid ?? 0];
    const throttles = ids.map((id) => new Throttle(id));
    ends.push(...throttles.map((throttle) => () => throttle.suspend()));
    for (const throttle of throttles) throttle.share = 0.5;
    const wakers = ids.map((id) => waker(id, { isSlowedDown: () => true }));
    // A busy machine may not serve the one that spins from one look to the next: then it did not
    // run.
    let unserved = 0;
    for (let look = 0, before = 0; look < 20; look += 1) {
      for (const { waker: made } of wakers) made.tick();
      const ran = ranNs(ids[1] ?? 0);
      if (ran - before < 1e6) unserved += 1;
      before = ran;
      await sleep(4 * limits.throttlePeriodMs);
    }
    const [asleep = 0, awake = 20] = wakers.map(({ woken }) => woken.times);
    expect(asleep).toBeGreaterThan(15);
    expect(awake, 'now and then it is served for too short a time').toBeLessThan(5 + unserved);
  });

  it('wakes nobody while the machine is stopped, and makes up for it', async () => {
    let mayWake = false;
    const { waker: made, woken } = waker(await sleeping(), { mayWake: () => mayWake });
    made.frameGiven();
    await sleep(20);
    expect(woken.times).toBe(0);
    mayWake = true;
    await sleep(20);
    expect(woken.times).toBe(limits.wakesForFrame);
  });

  it('is silent when it is closed, whatever still waits', async () => {
    const { waker: made, woken } = waker(await sleeping(), { waits: () => true });
    made.markerGiven();
    made.close();
    made.frameGiven();
    await sleep(20);
    expect(woken.times).toBe(0);
  });

  it('wakes a thread that it cannot look at', async () => {
    const { waker: made, woken } = waker(undefined);
    made.frameGiven();
    await Promise.resolve();
    expect(woken.times).toBe(1);
  });
});
