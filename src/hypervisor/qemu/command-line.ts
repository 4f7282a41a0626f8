/**
 * The QEMU command line of a protected machine.
 *
 * One function makes the arguments of all three incarnations (recorder, replayer, successor), so
 * that what must be equal on both sides is equal by construction. They differ in the record/replay
 * mode, in where the log is, and in whether the machine waits for a state to be loaded.
 *
 * Which option is there for which reason: recipes R1-R12 in docs/lockstep.md.
 */
import { limits } from '../../base/limits.ts';
import { consolePort, type VmConfig } from '../config.ts';

/** Where one QEMU process finds its sockets; all in one directory that only we may read. */
export interface InstancePaths {
  readonly monitor: string;
  readonly pad: string;
  readonly wake: string;
  /** Two ends of a pipe of a recorder, whose vCPU is woken by it (vcpu-wake.ts). */
  readonly flash: string;
  readonly echo: string;
  /** Base of the two FIFOs of a serial port; 0 is the console. */
  readonly serial: (index: number) => string;
  readonly nic: (index: number) => string;
}

export function instancePaths(dir: string): InstancePaths {
  return {
    monitor: `${dir}/qmp`,
    pad: `${dir}/pad`,
    wake: `${dir}/wake`,
    flash: `${dir}/flash`,
    echo: `${dir}/echo`,
    serial: (index) => `${dir}/serial${index}`,
    nic: (index) => `${dir}/nic${index}`,
  };
}

export interface CommandLineOptions {
  readonly vm: VmConfig;
  readonly paths: InstancePaths;
  /** The guest's RAM, a file on tmpfs that is mapped shared. */
  readonly ramFile: string;
  /** What is written to RAM stays with this QEMU. @default false */
  readonly isRamPrivate?: boolean;
  /** Unix socket of the storage daemon's NBD server; exports are named by the disks' ids. */
  readonly nbdSocket: string;
  readonly mode: 'record' | 'replay';
  /** Regular file when recording, FIFO when replaying (R1). */
  readonly logFile: string;
  /** Wait for `migrate-incoming` instead of starting from power-on (R7). */
  readonly incoming: boolean;
  /**
   * What the guest's clock shows at power-on, as 2026-01-31T12:00:00: for a replay from there, as
   * QEMU 10 does not log it. @default now
   */
  readonly startsAt?: string;
}

/** Arguments of the `tick` filter (R3), as `object-add` takes them; also part of the start. */
export const tickObject = {
  'qom-type': 'filter-buffer',
  id: 'tick',
  netdev: 'pad',
  queue: 'rx',
  interval: limits.tickUs,
} as const;

/** The pad's filter is the first that the command line creates; its frames carry the markers. */
export const padNetId = 0;

/** QEMU separates options by commas; one inside a value is doubled. */
const doubled = (value: string): string => value.replaceAll(',', ',,');

export function qemuArguments(options: CommandLineOptions): string[] {
  const { vm, paths } = options;
  const log = `rr=${options.mode},rrfile=${doubled(options.logFile)}`;
  const args = [
    ['-name', `guest=${doubled(vm.name)},debug-threads=on`],
    ['-no-user-config'],
    ['-nodefaults'],
    ['-display', 'none'],
    ['-machine', `${vm.machine},memory-backend=ram,pflash0=firmware`],
    ['-blockdev', `driver=file,node-name=firmware,read-only=on,filename=${doubled(vm.firmware)}`],
    ['-cpu', vm.cpu],
    ['-smp', '1'],
    ['-m', `${vm.memoryBytes / 1024}K`],
    [
      '-object',
      `memory-backend-file,id=ram,size=${vm.memoryBytes},mem-path=${doubled(options.ramFile)},share=${options.isRamPrivate === true ? 'off' : 'on'}`,
    ],
    ['-icount', `shift=auto,${log}`],
    // The guest's own clock: with the host's, every turn of the main loop logs four events more.
    ['-rtc', `base=${options.startsAt ?? 'utc'},clock=vm`],
    ['-global', 'migration.send-configuration=off'],
    // Its reset waits for the vCPU, which waits for the replay lock: a guest's reboot would hang
    // QEMU.
    ['-global', 'apic.vapic=off'],
    ['-qmp', `unix:${doubled(paths.monitor)},server=on,wait=off`],
    // A guest that suspends to RAM would stand until it is woken, which is not in the log; one that
    // suspends to disk is off, and what it wakes from is not what was protected.
    ['-global', 'PIIX4_PM.disable_s3=1', '-global', 'PIIX4_PM.disable_s4=1'],
    ...[consolePort, ...vm.ports].flatMap((_, index) =>
      serialArguments(index, paths.serial(index)),
    ),
    ...padArguments(paths.pad),
    // A backend that leads nowhere: a frame for it wakes the main loop and does nothing else (R4).
    ['-netdev', `stream,id=wake,server=off,addr.type=unix,addr.path=${doubled(paths.wake)}`],
    ...(options.mode === 'replay'
      ? [...echoArguments(paths.echo), ...nothingArguments]
      : flashArguments(paths.flash)),
    ...vm.disks.flatMap((disk) => diskArguments(disk, options.nbdSocket)),
    ...vm.nics.flatMap((nic, index) => nicArguments(nic.mac, index, paths.nic(index))),
    ...bootArguments(vm.boot),
  ];
  if (options.incoming) args.push(['-S'], ['-incoming', 'defer']);
  return args.flat();
}

/**
 * A serial port of the guest, ttyS0 the first. The events of the log number them in this order
 * (`replay_register_char_driver`, replay/replay-char.c).
 */
function serialArguments(index: number, path: string): string[][] {
  const id = `serial${index}`;
  // Never full: a write that is not accepted diverges (R12).
  return [
    ['-chardev', `pipe,id=${id},path=${doubled(path)}`],
    ['-serial', `chardev:${id}`],
  ];
}

/** The pad: a backend without a device, for markers (R2) and the tick (R3). */
function padArguments(path: string): string[][] {
  const { 'qom-type': type, ...tick } = tickObject;
  const tickOptions = Object.entries(tick).map(([key, value]) => `${key}=${value}`);
  return [
    ['-netdev', `stream,id=pad,server=off,addr.type=unix,addr.path=${doubled(path)}`],
    ['-netdev', 'hubport,id=padport,hubid=7,netdev=pad'],
    ['-object', 'filter-replay,id=padfilter,netdev=pad'],
    ['-object', [type, ...tickOptions].join(',')],
  ];
}

/**
 * The echo: a second port on the pad's hub. In replay the pad's socket is silent, and a frame of
 * the log that is executed enters the hub: it leaves here, and tells how far the log was consumed.
 */
function echoArguments(path: string): string[][] {
  return [
    ['-netdev', `stream,id=echo,server=off,addr.type=unix,addr.path=${doubled(path)}`],
    ['-netdev', 'hubport,id=echoport,hubid=7,netdev=echo'],
  ];
}

/** A drive without a device: what a replayer at rest goes on by (`Replayer.goOn`). */
export const nothingDrive = 'nothing';
const nothingArguments = [['-drive', `driver=null-co,size=512,if=none,id=${nothingDrive}`]];

/** A server beside the machine that writes to its memory. Not the accelerator of that name. */
const flashArguments = (path: string): string[][] => [
  ['-chardev', `pipe,id=flash,path=${doubled(path)}`],
  ['-object', 'qtest,id=flash,chardev=flash,log=none'],
];

function diskArguments(disk: VmConfig['disks'][number], nbdSocket: string): string[][] {
  const { id } = disk;
  const readOnly = disk.readOnly ? ',read-only=on' : '';
  // What the guest discards reads as zeros on both nodes: the daemon punches holes.
  const discard = disk.discard === false || disk.readOnly ? 'ignore' : 'unmap';
  const offered = discard === 'unmap' ? 'on' : 'off';
  return [
    [
      '-drive',
      `driver=nbd,server.type=unix,server.path=${doubled(nbdSocket)},export=${id},reconnect-delay=${limits.diskReconnectSeconds},if=none,id=${id}-image,discard=${discard}${readOnly}`,
    ],
    ['-drive', `driver=blkreplay,if=none,image=${id}-image,id=${id},discard=${discard}${readOnly}`],
    [
      '-device',
      `virtio-blk-pci,id=dev-${id},drive=${id},discard=${offered},ioeventfd=off,event_idx=off,rerror=stop,werror=stop`,
    ],
  ];
}

function nicArguments(mac: string, index: number, path: string): string[][] {
  return [
    ['-netdev', `stream,id=net${index},server=off,addr.type=unix,addr.path=${doubled(path)}`],
    ['-object', `filter-replay,id=netfilter${index},netdev=net${index}`],
    // R11: a transmit bottom half is not logged in 7.2, a timer is; no announcement by the guest.
    // event_idx=off: the last signalled index is not in device state, so a loaded copy would raise
    // an interrupt that the recorder suppresses (`virtio_load`, hw/virtio/virtio.c).
    [
      '-device',
      `virtio-net-pci,id=dev-net${index},netdev=net${index},mac=${mac},tx=timer,x-txtimer=0,guest_announce=off,romfile=,ioeventfd=off,event_idx=off`,
    ],
  ];
}

function bootArguments(boot: VmConfig['boot']): string[][] {
  if (boot.kind === 'disk') return [['-boot', 'order=c']];
  const args = [['-kernel', boot.kernel]];
  if (boot.initrd !== undefined) args.push(['-initrd', boot.initrd]);
  if (boot.append !== undefined) args.push(['-append', boot.append]);
  return args;
}
