/** Writes a machine as a VM file that means the same wherever it lies: paths are absolute. */
import YAML from 'yaml';
import type { VmConfig, VmDescription } from '../config.ts';

/**
 * The text of a VM file. Images of disks are left out, as a pair file names them; and which QEMU a
 * machine came from.
 */
export function writeVmFile(vm: VmDescription): string {
  const { name, qemu, machine, firmware, cpu, memoryBytes, boot, disks, nics, ports } = vm;
  return YAML.stringify({
    name,
    memory: memoryBytes,
    cpu,
    machine,
    qemu,
    ...(firmware === undefined ? {} : { firmware }),
    boot: boot.kind === 'disk' ? { disk: true } : withoutKind(boot),
    disks: disks.map(({ id, sizeBytes, readOnly, discard }) => ({
      id,
      ...(sizeBytes === undefined ? {} : { size: sizeBytes }),
      ...(readOnly ? { readOnly } : {}),
      ...(discard === false ? { discard } : {}),
    })),
    nics: nics.map(({ mac }) => ({ mac })),
    ...(ports.length === 0 ? {} : { ports }),
  });
}

function withoutKind({ kernel, initrd, append }: Extract<VmConfig['boot'], { kind: 'kernel' }>) {
  return {
    kernel,
    ...(initrd === undefined ? {} : { initrd }),
    ...(append === undefined ? {} : { append }),
  };
}
