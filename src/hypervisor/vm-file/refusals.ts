/**
 * What a VM file may not ask for: why, and what to write instead.
 *
 * Lockstep needs every source of nondeterminism in the event log. What QEMU 7.2 does not log, or
 * refuses to combine with record/replay, is refused here, where it can be explained, instead of
 * diverging later. Keys that a person coming from other tools would try are listed by name.
 */
import { advice } from '../disks/image-format.ts';

const oneCpu = 'lockstep runs one virtual CPU: leave this out';
const noDisplay =
  'the machine has no display: leave this out; its first serial port is its console';
const noUsb = 'USB devices are not in the event log: leave this out';
const rtc = 'the clock of the machine starts at UTC and follows the event log: leave this out';
const snapshots = 'a temporary overlay cannot be mirrored: leave this out';
const noArgs = 'options for QEMU would make the two nodes differ: use the keys of docs/vm-file.md';
const accel = 'lockstep counts instructions, which only TCG can: leave this out';
const nicBackend = 'where frames go is said in the pair file: use `egress` of each node';

/** By the key at the top of the file. */
export const refusedKeys: Readonly<Record<string, string>> = {
  smp: oneCpu,
  cpus: oneCpu,
  vcpus: oneCpu,
  cores: oneCpu,
  threads: oneCpu,
  sockets: oneCpu,
  vga: noDisplay,
  display: noDisplay,
  graphics: noDisplay,
  vnc: noDisplay,
  spice: noDisplay,
  usb: noUsb,
  rtc,
  localtime: rtc,
  clock: rtc,
  snapshot: snapshots,
  args: noArgs,
  extraArgs: noArgs,
  qemuArgs: noArgs,
  accel,
  kvm: accel,
  icount: accel,
  cdrom: 'there is no CD drive: add the ISO image to `disks` with `readOnly: true`',
  drive: 'list disks under `disks`',
  drives: 'list disks under `disks`',
  disk: 'list disks under `disks`, each with an `id`',
  ram: 'write `memory`',
  mem: 'write `memory`',
  network: 'list network cards under `nics`',
  net: 'list network cards under `nics`',
  nic: 'list network cards under `nics`',
  kernel: 'write it under `boot`',
  initrd: 'write it under `boot`',
  append: 'write it under `boot`',
  cmdline: 'write `append` under `boot`',
};

/** By the key of a disk. */
export const refusedDiskKeys: Readonly<Record<string, string>> = {
  file: 'write `path`',
  image: 'write `path`',
  readonly: 'write `readOnly`',
  cache: 'the storage daemon decides: leave this out',
  aio: 'the storage daemon decides: leave this out',
  snapshot: snapshots,
  backing: 'a raw image stands alone: leave this out',
};

/** By the key of a network card. */
export const refusedNicKeys: Readonly<Record<string, string>> = {
  tap: nicBackend,
  bridge: nicBackend,
  backend: nicBackend,
  netdev: nicBackend,
  type: 'write `model`, or leave it out: there is only virtio-net',
};

/** By the key under `boot`. */
export const refusedBootKeys: Readonly<Record<string, string>> = {
  cmdline: 'write `append`',
  args: 'write `append`',
  initramfs: 'write `initrd`',
  order: 'the machine boots from its first disk or from a kernel: leave this out',
};

/** Why a disk `format` other than raw is refused. */
export function refusedFormat(format: string): string | undefined {
  if (format === 'raw') return undefined;
  return `must be raw: current value is ${format}. ${advice('IMAGE')}`;
}

/** Why a disk `bus` other than virtio is refused. */
export function refusedBus(bus: string): string | undefined {
  if (bus === 'virtio') return undefined;
  const why = /^(ide|ahci|sata)$/i.test(bus)
    ? 'IDE, AHCI and SATA restart requests at a stop in a way that is not logged'
    : 'only virtio disks are known to stay in lockstep';
  return `must be virtio: current value is ${bus}. ${why}: leave this out`;
}

/** Why a network card's `model` other than virtio-net is refused. */
export function refusedModel(model: string): string | undefined {
  if (/^virtio(-net(-pci)?)?$/.test(model)) return undefined;
  const why = 'other cards send from timers that are not logged';
  return `must be virtio-net: current value is ${model}. ${why}: leave this out`;
}

/** Why a `machine` other than pc, by that or by a full name, is refused. */
export function refusedMachine(machine: string): string | undefined {
  if (/^pc(-i440fx-[0-9]+\.[0-9]+)?$/.test(machine)) return undefined;
  const why = /q35/.test(machine)
    ? 'q35 brings an AHCI controller, which is not logged'
    : 'no other machine is known to stay in lockstep';
  return `must be pc, or a full name such as pc-i440fx-7.2: current value is ${machine}. ${why}: leave this out`;
}

/** Why a CPU model is refused. */
export function refusedCpu(cpu: string): string | undefined {
  const model = cpu.split(',')[0] as string;
  if (model !== 'host') return undefined;
  return 'must be a CPU model of QEMU: host needs KVM, which cannot count instructions: leave this out';
}
