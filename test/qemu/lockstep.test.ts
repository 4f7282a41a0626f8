// A replica executes exactly what its machine did: from power-on and from a cut, its device state
// and its RAM are equal, byte for byte, where both are stopped at the same log position.
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  compareDeviceStates,
  describeDifferences,
  parseDeviceState,
} from '../../src/hypervisor/device-state/device-state.ts';
import { differingBlocks, digestRam } from '../../src/hypervisor/memory/ram.ts';
import type { Segment } from '../../src/rrlog/log-tail.ts';
import { Lab, logStart } from './harness/lab.ts';
import { waitFor } from './harness/wait.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.close());

function differences(a: Buffer, b: Buffer): string {
  return describeDifferences(compareDeviceStates(parseDeviceState(a), parseDeviceState(b)));
}

test('a replica follows from power-on', async () => {
  const log: Segment[] = [];
  const machine = await lab.powerOn((segment) => log.push(segment));
  // The kernel runs long before its first word: it has been unpacked by then.
  await waitFor('a few hundred million instructions', () =>
    machine.recorder.icount > 300e6 ? true : undefined,
  );
  const cut = await machine.recorder.cut(() => digestRam(machine.ramFile));
  await cut.validated;
  await machine.kill();
  expect(machine.errors).toEqual([]);

  const upToCut = log.filter(({ to }) => to <= cut.position);
  expect(upToCut[0]?.from).toBe(logStart);
  expect(upToCut.at(-1)?.to).toBe(cut.position);
  expect(upToCut.at(-1)?.icount).toBe(cut.replay.icount);
  const [first, ...rest] = upToCut.map(({ bytes }) => bytes);
  const { replayer, ramFile } = await lab.replayFromPowerOn(first ?? Buffer.alloc(0));
  replayer.feed(Buffer.concat(rest));
  await waitFor('the log to be read', () => replayer.pendingBytes === 0 || undefined);
  const halted = await replayer.halt(cut.replay.icount, () => []);

  expect(halted.replay.icount).toBe(cut.replay.icount);
  expect(differences(cut.deviceState, halted.deviceState)).toBe('');
  expect(differingBlocks(cut.done, await digestRam(ramFile))).toEqual([]);
});

test('a replica follows from a cut and its state is equal at the next cut', async () => {
  const machine = await lab.booted();
  const copy = await machine.seed();
  await machine.console.run('work cpu 3; work fork 3; work diskwrite 20; date');
  const cut = await machine.recorder.cut((frozen) => {
    copy.endAt(frozen.position);
    return digestRam(machine.ramFile);
  });
  await cut.validated;
  expect(copy.tail.position).toBe(cut.position);
  expect(copy.tail.icount).toBe(cut.replay.icount);
  expect(copy.tail.icount).toBeGreaterThan(copy.cut.replay.icount);

  const halted = await copy.replayer.halt(cut.replay.icount, () => []);
  expect(differences(cut.deviceState, halted.deviceState)).toBe('');
  expect(differingBlocks(cut.done, await digestRam(copy.ramFile))).toEqual([]);
  expect([...machine.errors, ...copy.errors]).toEqual([]);
});
