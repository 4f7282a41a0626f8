/**
 * The same guest without us, as a person would run it: one QEMU with its disk and its network card,
 * nothing recorded. It is what a slowdown is against.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnderstudyError } from '../../base/errors.ts';
import { parseEgressSpec } from '../../egress/from-spec.ts';
import { runIp } from '../../egress/ip-command.ts';
import { type OwnedProcess, spawnOwned } from '../../host/processes.ts';
import { loadVmConfig, type VmConfig } from '../../hypervisor/config.ts';
import type { Stage } from '../../lab/stage.ts';
import type { Arrangement } from '../results.ts';
import { benchLimits } from './limits.ts';

export type BareArrangement = Exclude<Arrangement, 'record' | 'pair'>;

const accelerators: Readonly<Record<BareArrangement, (vm: VmConfig) => readonly string[]>> = {
  bare: ({ cpu }) => ['-accel', 'tcg,thread=single', '-cpu', cpu],
  icount: ({ cpu }) => ['-accel', 'tcg,thread=single', '-cpu', cpu, '-icount', 'shift=auto'],
  kvm: () => ['-accel', 'kvm', '-cpu', 'host'],
};

/**
 * Starts QEMU on the stage's VM file and the first node's disk, with its frames going to the world.
 * Throws `qemu` when it ends at once.
 */
export async function startBare(
  arrangement: BareArrangement,
  stage: Stage,
  egressSpec: string,
): Promise<OwnedProcess> {
  const vm = await loadVmConfig(`${stage.dir}/vm.yaml`);
  const egress = parseEgressSpec(egressSpec);
  const child = spawnOwned({
    name: arrangement,
    command: vm.qemu,
    args: bareArguments(arrangement, vm, `${stage.dir}/data-a.raw`, egress),
    runDir: stage.dir,
  });
  const ended = child.exited.then((info) => {
    throw new UnderstudyError('qemu', `QEMU ended while it was starting (${info.reason})`, {
      cause: new Error(info.stderr.trim() || 'it printed nothing'),
    });
  });
  ended.catch(() => undefined);
  await Promise.race([ended, sleep(benchLimits.settleMs)]);
  if (egress.kind === 'tap') {
    const { name, bridge, netns } = egress;
    if (netns !== undefined) await runIp([`link set dev ${name} netns ${netns}`]);
    const master = bridge === undefined ? [] : [`link set dev ${name} master ${bridge}`];
    await runIp([...master, `link set dev ${name} up`], { netns });
  }
  return child;
}

function bareArguments(
  arrangement: BareArrangement,
  vm: VmConfig,
  image: string,
  egress: ReturnType<typeof parseEgressSpec>,
): string[] {
  if (vm.boot.kind !== 'kernel') throw new Error('the benchmark boots its own guest by its kernel');
  const { kernel, initrd = '', append = '' } = vm.boot;
  return [
    ...['-no-user-config', '-nodefaults', '-display', 'none', '-machine', vm.machine],
    ...accelerators[arrangement](vm),
    ...['-smp', '1', '-m', `${vm.memoryBytes / 1024}K`, '-rtc', 'base=utc'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', append],
    ...['-drive', `file=${image},format=raw,if=none,id=data`],
    ...['-device', 'virtio-blk-pci,drive=data'],
    ...netArguments(egress, vm.nics[0]?.mac ?? ''),
  ];
}

function netArguments(egress: ReturnType<typeof parseEgressSpec>, mac: string): string[] {
  const device = ['-device', `virtio-net-pci,netdev=net0,mac=${mac},romfile=`];
  switch (egress.kind) {
    case 'tap':
      return [
        ...['-netdev', `tap,id=net0,ifname=${egress.name},script=no,downscript=no,vhost=off`],
        ...device,
      ];
    case 'stream': {
      const { address } = egress;
      const where =
        'path' in address
          ? `addr.type=unix,addr.path=${address.path}`
          : `addr.type=inet,addr.host=${address.host},addr.port=${address.port}`;
      return ['-netdev', `stream,id=net0,server=off,${where}`, ...device];
    }
    case 'none':
      return [];
  }
}
