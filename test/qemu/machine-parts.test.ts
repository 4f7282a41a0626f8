// A machine goes on from a state with another RAM file, and a state that cannot be had leaves no
// process.
import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { canMount, SmallDisk } from '../../bench/soak/surroundings/small-disk.ts';
import {
  bootFromPowerOn,
  bootFromState,
  type MachinePlace,
} from '../../src/hypervisor/machine-parts.ts';
import type { Segment } from '../../src/rrlog/log-tail.ts';
import { consoleOf } from './harness/console.ts';
import { Lab } from './harness/lab.ts';
import { bootMs } from './harness/wait.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.open();
});
afterEach(() => lab.close());

test('a machine goes on from a state', async () => {
  const machine = await lab.boot();
  await machine.console.run('echo kept > /data/kept; sync; there=here');
  const image = lab.fresh('image');
  const ramFile = lab.fresh('ram');
  const cut = await machine.copyTo(image, ramFile);
  await machine.kill();
  const place: MachinePlace = {
    ...{ vm: lab.vm, layout: lab.layout, dir: lab.fresh('machine'), pidDir: lab.dir },
    ...{ ramFile: lab.fresh('ram'), diskImages: { data: image } },
  };
  const facts = { icount: cut.replay.icount };
  const errors: Error[] = [];
  let delivered: (segment: Segment) => void = () => undefined;
  const handlers = {
    onSegment: (segment: Segment) => delivered(segment),
    onError: (error: Error) => errors.push(error),
  };

  const refused = bootFromState(
    place,
    { ramFile, facts, claim: () => Promise.reject(new Error('claimed by another')) },
    handlers,
  );
  await expect(refused).rejects.toThrow('claimed by another');
  expect(fs.readdirSync(lab.dir).filter((name) => name.endsWith('.pid.json'))).toEqual([]);

  fs.rmSync(place.ramFile);
  const { recorder, storage } = await bootFromState(
    place,
    { ramFile, facts, claim: async () => cut.deviceState },
    handlers,
  );
  lab.onClose(() => storage.stop());
  lab.onClose(() => recorder.instance.destroy());
  const { terminal, input } = consoleOf(recorder);
  delivered = (segment) => input.delivered(segment.typedBytes[0] ?? 0);
  recorder.instance.nics[0]?.resume();
  expect(await terminal.run('cat /data/kept; echo $there')).toMatch(/kept\r\nhere\r\n/);
  expect(recorder.icount).toBeGreaterThan(facts.icount);
  expect(errors).toEqual([]);
  recorder.close();
});

// QEMU is killed by SIGBUS when it touches memory for which a tmpfs has no room.
test.runIf(canMount)('others fill the memory that a guest was promised', async () => {
  const disk = new SmallDisk(lab.fresh('small'), lab.vm.memoryBytes / (1024 * 1024) + 64);
  lab.onClose(async () => disk.unmount());
  const small = disk.dir;
  const errors: Error[] = [];
  let delivered: (segment: Segment) => void = () => undefined;
  const { recorder, storage } = await bootFromPowerOn(
    {
      ...{ vm: lab.vm, layout: lab.layout, dir: `${small}/m1`, pidDir: lab.dir },
      ...{ ramFile: `${small}/m1.ram`, diskImages: { data: lab.newImage() } },
    },
    {
      onSegment: (segment) => delivered(segment),
      onError: (error) => errors.push(error),
    },
  );
  lab.onClose(() => storage.stop());
  lab.onClose(() => recorder.instance.destroy());
  expect(() => disk.fill(), 'it ends with ENOSPC').not.toThrow();
  const { terminal, input } = consoleOf(recorder);
  delivered = (segment) => input.delivered(segment.typedBytes[0] ?? 0);
  recorder.instance.nics[0]?.resume();
  await terminal.until('guest# ', bootMs);
  const pages = '/run/pages/file';
  await terminal.run('mkdir /run/pages; mount -t tmpfs -o size=64m tmpfs /run/pages');
  expect(
    await terminal.run(`head -c 48m /dev/zero | tr '\\0' x > ${pages}; wc -c < ${pages}`),
  ).toMatch(/50331648/);
  expect(errors).toEqual([]);
  recorder.close();
});
