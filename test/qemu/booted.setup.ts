/** Boots the example guest once for the whole run, unless it was kept by an earlier one. */
import fs from 'node:fs';
import { icount } from '../../src/base/units.ts';
import { copySparse } from '../../src/hypervisor/memory/sparse-copy.ts';
import { BootedGuest } from './harness/booted.ts';
import { Lab } from './harness/lab.ts';

export default async function setup(): Promise<void> {
  await BootedGuest.keep(async (to) => {
    const lab = await Lab.open();
    try {
      const machine = await lab.boot();
      await machine.console.run('sync');
      const [image, ram] = [lab.fresh('image'), lab.fresh('ram')];
      const cut = await machine.copyTo(image, ram);
      await copySparse(image, to.disk);
      await copySparse(ram, to.ram);
      fs.writeFileSync(to.state, cut.deviceState);
      return icount(cut.replay.icount);
    } finally {
      await lab.close();
    }
  });
}
