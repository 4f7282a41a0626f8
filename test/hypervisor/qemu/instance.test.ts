// A QEMU that cannot be started leaves nothing open.
import fs from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { instancePaths } from '../../../src/hypervisor/qemu/command-line.ts';
import { QemuInstance } from '../../../src/hypervisor/qemu/instance.ts';
import { scratchDir } from '../../node/scratch.ts';

const dir = scratchDir();

it('its doors are closed when a pipe cannot be made', async () => {
  const own = path.join(dir, 'recorder');
  const paths = instancePaths(own);
  fs.mkdirSync(`${paths.serial(0)}.in`, { recursive: true });
  const starting = QemuInstance.start({
    vm: {
      name: 'vm',
      qemu: '/bin/false',
      machine: 'pc',
      firmware: '/dev/null',
      isOwnFirmware: false,
      cpu: 'qemu64',
      memoryBytes: 32 * 1024 * 1024,
      boot: { kind: 'disk' },
      disks: [],
      nics: [{ mac: '52:54:00:00:00:01' }],
      ports: [],
    },
    ...{ dir: own, pidDir: dir, name: 'recorder', ramFile: path.join(dir, 'ram') },
    ...{ nbdSocket: path.join(dir, 'nbd'), logFile: path.join(dir, 'log') },
    ...{ mode: 'record', incoming: false },
  });
  await expect(starting).rejects.toThrow();
  // A server that is closed has removed its socket.
  await expect.poll(() => fs.readdirSync(own)).toEqual([path.basename(`${paths.serial(0)}.in`)]);
});
