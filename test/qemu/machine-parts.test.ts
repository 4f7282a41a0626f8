// A machine goes on from a state with another RAM file, and a state that cannot be had leaves no
// process.
import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bootFromState, type MachinePlace } from '../../src/hypervisor/machine-parts.ts';
import type { Segment } from '../../src/rrlog/log-tail.ts';
import { consoleOf } from './harness/console.ts';
import { Lab } from './harness/lab.ts';

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
  delivered = (segment) => input.delivered(segment.typedBytes);
  recorder.instance.nics[0]?.resume();
  expect(await terminal.run('cat /data/kept; echo $there')).toMatch(/kept\r\nhere\r\n/);
  expect(recorder.icount).toBeGreaterThan(facts.icount);
  expect(errors).toEqual([]);
  recorder.close();
});
