// A copy goes on after each compare as if there had been none, also when it must take the primary's
// clock.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseDeviceState } from '../../src/hypervisor/device-state/device-state.ts';
import { openStore } from '../../src/store/store.ts';
import { Lab } from './harness/lab.ts';
import { KeptPair, withDelta } from './snapshot-rig.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.close());

test('a machine that works is compared again and again, by one replayer', async () => {
  const pair = await openPair();
  const { machine } = pair;
  for (let round = 0; round < 10; round += 1) {
    const working = machine.console.run(`work syncwrite 2; echo ${round} > /data/round; sync`);
    await pair.cut({ keep: false });
    await working;
  }
  // As often as its judge falls into a stop: it comes once a second, and ten stops are half of one
  // here.
  expect(pair.clocksTaken).toBeLessThanOrEqual(Math.max(1, pair.pausedMs / 250));
  expect([...machine.errors, ...pair.failures]).toEqual([]);
});

test('a clock that was judged in the one and not in the other goes on in a fresh replayer', async () => {
  const pair = await openPair();
  const { machine } = pair;
  await pair.cut({ keep: false, judged: (state) => withDelta(state, 1n) });
  expect(pair.clocksTaken).toBe(1);
  await machine.console.run('work fork 2; echo more > /data/more; sync');
  await pair.cut({ keep: false });
  expect([...machine.errors, ...pair.failures]).toEqual([]);

  const other = pair.cut({ keep: false, judged: (state) => withBit(state) });
  await expect(other).rejects.toThrow(/cpu_common|cpu/);
});

async function openPair(): Promise<KeptPair> {
  const store = await openStore({ directory: `${lab.dir}/store` });
  lab.onClose(() => store.close());
  return KeptPair.open(lab, store);
}

/** A register of the vCPU of another machine. */
function withBit(state: Buffer): Buffer {
  const cpu = parseDeviceState(state).sections.find(({ name }) => name === 'cpu');
  const other = Buffer.from(state);
  other[cpu?.from ?? 0] = (other[cpu?.from ?? 0] ?? 0) ^ 1;
  return other;
}
