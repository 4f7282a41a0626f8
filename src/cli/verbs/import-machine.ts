/** The machine that `understudy import` makes: from options, or from a VM file with other disks. */
import YAML from 'yaml';
import { UnderstudyError } from '../../base/errors.ts';
import { parseEgressSpec } from '../../egress/from-spec.ts';
import { describeVm, readVmDescription, type VmDescription } from '../../hypervisor/config.ts';
import type { Problem } from '../../hypervisor/vm-file/read.ts';
import { writeVmFile } from '../../hypervisor/vm-file/write.ts';
import { machineProblems } from './machine-problems.ts';

/** What says how the machine is made, but for its disks. */
export interface MachineOptions {
  readonly as: string;
  readonly vm?: string;
  readonly memory?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  /**
   * Addresses of its cards; `false`: it has none; left out: one, with an address made from its
   * name.
   */
  readonly nic?: readonly string[] | false;
  /** Of the first card. */
  readonly egress: string;
}

/**
 * The machine with these images, each checked, as its disks in this order; paths are relative to
 * the working directory.
 *
 * @throws UnderstudyError `config` with everything that is wrong.
 */
export async function machineFrom(
  images: readonly string[],
  options: MachineOptions,
): Promise<VmDescription> {
  const file =
    options.vm === undefined
      ? ownFile(images, options)
      : await fileLike(options.vm, images, options);
  const described = describeVm(YAML.stringify(file), process.cwd());
  if ('problems' in described) throw notImported(described.problems, images);
  const { vm } = described;
  if (parseEgressSpec(options.egress).kind !== 'none' && vm.nics.length === 0) {
    throw new UnderstudyError(
      'config',
      `The machine has no network card that could lead to '${options.egress}'`,
      { hint: 'leave out --egress, or give the machine a card' },
    );
  }
  return vm;
}

function ownFile(images: readonly string[], options: MachineOptions): object {
  const { as, memory, kernel, initrd, append, nic } = options;
  return {
    name: as,
    memory,
    boot: { kernel, initrd, append },
    disks: images.map((path) => ({ path })),
    nics: nic === undefined ? [{}] : macsOf(nic).map((mac) => ({ mac })),
  };
}

const macsOf = (nic: readonly string[] | false): readonly string[] => (nic === false ? [] : nic);

/** All of the VM file `like`, its name too, with other images in its disks. */
async function fileLike(
  like: string,
  images: readonly string[],
  options: MachineOptions,
): Promise<object> {
  const refused = (['memory', 'kernel', 'initrd', 'append', 'nic'] as const).filter(
    (option) => options[option] !== undefined,
  );
  if (refused.length > 0) {
    const given = refused.map((option) => `--${option}`).join(', ');
    throw new UnderstudyError('config', `A VM file says all but the disks: not also ${given}`, {
      hint: 'leave out --vm, or the others; the VM file that is made can be changed afterwards',
    });
  }
  const vm = await readVmDescription(like);
  if (vm.disks.length !== images.length) {
    const ids = vm.disks.map(({ id }) => id).join(', ') || 'none';
    throw new UnderstudyError(
      'config',
      `VM file '${like}' has ${vm.disks.length} disks (${ids}); the number of images given is ${images.length}`,
      { hint: 'give an image for each, in that order' },
    );
  }
  const disks = vm.disks.map(({ id, readOnly }, index) => ({ id, readOnly, path: images[index] }));
  return { ...(YAML.parse(writeVmFile(vm)) as object), disks };
}

const optionAt = new Map([
  ['name', '--as'],
  ['memory', '--memory'],
  ['boot.kernel', '--kernel'],
  ['boot.initrd', '--initrd'],
  ['boot.append', '--append'],
]);

const notImported = (problems: readonly Problem[], images: readonly string[]): UnderstudyError =>
  machineProblems(problems, {
    what: 'Nothing is imported',
    verb: 'import',
    wordFor: (place) => wordFor(place, images),
  });

/** A place in a VM file, as who wrote no VM file knows it. */
function wordFor(place: string, images: readonly string[]): string {
  const disk = /^disks\[(\d+)\]/.exec(place)?.[1];
  if (disk !== undefined) return images[Number(disk)] ?? place;
  if (place.startsWith('nics')) return '--nic';
  return optionAt.get(place) ?? place;
}
