/** The machine that `understudy run` makes: its disks, what boots it, its VM file and its pair. */
import fs from 'node:fs';
import path from 'node:path';
import YAML from 'yaml';
import { UnderstudyError } from '../../base/errors.ts';
import type { AccountFiles } from '../../container/account.ts';
import { type ArchivedFile, encodeCpio } from '../../container/cpio.ts';
import { makeFileSystem, treeSize } from '../../container/file-system.ts';
import { containerLimits } from '../../container/limits.ts';
import {
  encodeSpec,
  type MachineSpec,
  type RunWishes,
  specOf,
} from '../../container/machine-spec.ts';
import { type ContainerImage, openImage } from '../../container/open-image.ts';
import { readFileIn } from '../../container/rooted-path.ts';
import { unpack } from '../../container/unpack.ts';
import { rootDisk, type Volume, volumePlace, volumesOf } from '../../container/volumes.ts';
import { describeVm, type VmDescription } from '../../hypervisor/config.ts';
import { writeVmFile } from '../../hypervisor/vm-file/write.ts';
import type { ContainerBoot } from '../../lab/guest-dir.ts';
import { preparedPaths } from '../../restore/prepared.ts';
import { Progress, type ProgressStream } from '../../text/progress.ts';
import { machineProblems } from './machine-problems.ts';
import { writePairFile } from './new-pair.ts';

export interface MachineWork {
  readonly image: string;
  /** With `boot`'s files, and without disks. */
  readonly vm: VmDescription;
  readonly boot: ContainerBoot;
  readonly as: string;
  readonly egress: string;
  readonly wishes: RunWishes;
  /** As they were given. */
  readonly volumes: readonly string[];
  /** Bytes of disks, by their ids, where they were given. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Of the initial RAM disk, beside what each has. */
  readonly files?: readonly ArchivedFile[];
  /** Further keys of the pair file. */
  readonly pairKeys?: Readonly<Record<string, unknown>>;
  /** @default standard error */
  readonly progressTo?: ProgressStream;
  readonly signal: AbortSignal;
}

/** What is told of it. */
export interface MadeMachine {
  readonly dir: string;
  readonly pair: string;
  readonly vm: string;
  readonly disks: readonly string[];
  readonly command: readonly string[];
  readonly volumes: readonly { readonly disk: string; readonly path: string }[];
  readonly exposedPorts: readonly string[];
}

const words = new Map([
  ['name', '--as'],
  ['memory', '--memory'],
  ['boot.kernel', '--guest'],
  ['boot.initrd', '--guest'],
]);

/** Throws `config` with all that is wrong. */
export function machineOf(machine: {
  readonly as: string;
  readonly memory: string;
  readonly boot: ContainerBoot;
  /** @default one */
  readonly nics?: 0 | 1;
  /** Serial ports beside the console. @default none */
  readonly ports?: readonly string[];
}): VmDescription {
  const { as, memory, boot, nics = 1, ports = [] } = machine;
  const cards = nics === 1 ? [{}] : [];
  const described = describeVm(YAML.stringify({ name: as, memory, boot, nics: cards, ports }), '/');
  if ('vm' in described) return described.vm;
  throw machineProblems(described.problems, {
    what: 'Nothing is made',
    verb: 'run',
    wordFor: (place) => words.get(place) ?? place,
  });
}

/** All of `dir`, which is empty; the pair file comes last. */
export async function makeMachine(dir: string, work: MachineWork): Promise<MadeMachine> {
  const scratch = path.join(dir, '.image.tar');
  const tree = path.join(dir, '.root');
  const progress = new Progress(work.progressTo ?? process.stderr);
  progress.status(`reading ${path.basename(work.image)}`);
  const image = await openImage(work.image, scratch);
  try {
    requireOutside(dir, image);
    const root = await laidOut(image, tree, { signal: work.signal, progress });
    const volumes = volumesOf(work.volumes, image.config.volumes).map((volume) => ({
      ...volume,
      place: volumePlace(root, volume),
    }));
    const { name } = work.vm;
    const places = volumes.map(({ place }) => place);
    const machine = { name, accounts: accountsIn(root), volumes: places };
    const spec = specOf(image.config, work.wishes, machine);
    await makeDisks(dir, root, { ...work, volumes, progress });
    const disks = [rootDisk, ...volumes.map(({ id }) => id)];
    for (const left of [scratch, tree]) fs.rmSync(left, { recursive: true, force: true });
    const pair = await writeFiles(dir, { ...work, spec, disks });
    return {
      ...{ dir, pair, vm: preparedPaths(dir).vmFile, disks, command: spec.argv },
      volumes: volumes.map(({ id, place }) => ({ disk: id, path: place })),
      exposedPorts: image.config.exposedPorts,
    };
  } finally {
    progress.end();
    image.close();
  }
}

/** What boots the machine, its VM file and its pair file. Returns the last one's path. */
export async function writeFiles(
  dir: string,
  work: Pick<MachineWork, 'vm' | 'boot' | 'as' | 'egress' | 'files' | 'pairKeys'> & {
    readonly spec: MachineSpec;
    readonly disks: readonly string[];
  },
): Promise<string> {
  const { as, egress, disks, pairKeys = {} } = work;
  const vm = bootedBy(dir, work);
  await fs.promises.writeFile(preparedPaths(dir).vmFile, writeVmFile(vm), { mode: 0o600 });
  return writePairFile(dir, { name: as, disks, egress, more: pairKeys });
}

/** Throws `config` when the image would have itself in it. */
function requireOutside(dir: string, { content }: ContainerImage): void {
  if (
    !('directory' in content) ||
    !`${fs.realpathSync(dir)}/`.startsWith(`${content.directory}/`)
  ) {
    return;
  }
  throw new UnderstudyError('config', `'${dir}' lies in the image '${content.directory}'`, {
    hint: 'give another directory with --out',
  });
}

/** Returns the directory that is its root. */
async function laidOut(
  { content }: ContainerImage,
  tree: string,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<string> {
  if ('directory' in content) return content.directory;
  const { layers } = content;
  fs.mkdirSync(tree, { mode: 0o755 });
  fs.chmodSync(tree, 0o755);
  await unpack(layers, tree, {
    signal,
    onProgress: (layer, bytes) =>
      progress.status(`laying out layer ${layer} of ${layers.length}: ${mebibytes(bytes)} MiB`),
  });
  return tree;
}

const mebibytes = (bytes: number): number => Math.ceil(bytes / (1024 * 1024));

function accountsIn(root: string): AccountFiles {
  const file = (name: string): string =>
    readFileIn(root, name, containerLimits.accountBytesMax) ?? '';
  return { passwd: file('etc/passwd'), group: file('etc/group') };
}

async function makeDisks(
  dir: string,
  root: string,
  work: {
    readonly volumes: readonly Volume[];
    readonly sizes: MachineWork['sizes'];
    readonly signal: AbortSignal;
    readonly progress: Progress;
  },
): Promise<void> {
  const wanted = [
    { id: rootDisk, from: root },
    ...work.volumes.map(({ id, place }) => {
      const from = path.join(root, place);
      const isThere = fs.statSync(from, { throwIfNoEntry: false })?.isDirectory() === true;
      return { id, from: isThere ? from : undefined };
    }),
  ];
  for (const { id, from } of wanted) {
    const size = from === undefined ? { bytes: 0, files: 0 } : treeSize(from);
    work.progress.status(`making disk ${id}: ${mebibytes(size.bytes)} MiB in ${size.files} files`);
    await makeFileSystem({
      ...{ image: preparedPaths(dir).disk(id), from, size, signal: work.signal },
      bytes: work.sizes.get(id),
    });
  }
}

/**
 * Kernel and initial RAM disk are the machine's own from now on: drivers and kernel belong
 * together, and those of `scripts/setup` may be built anew.
 */
function bootedBy(
  dir: string,
  work: {
    readonly vm: VmDescription;
    readonly boot: ContainerBoot;
    readonly spec: MachineSpec;
    readonly disks: readonly string[];
    readonly files?: readonly ArchivedFile[];
  },
): VmDescription {
  const { vm, boot, spec, disks, files = [] } = work;
  const [kernel, initrd] = [path.join(dir, 'vmlinuz'), path.join(dir, 'initrd.img')];
  fs.copyFileSync(boot.kernel, kernel);
  const lines = (texts: readonly string[]): Buffer =>
    Buffer.from(texts.map((text) => `${text}\n`).join(''));
  const ours = encodeCpio([
    { name: 'etc/understudy/spec', mode: 0o600, content: encodeSpec(spec) },
    { name: 'etc/understudy/volumes', mode: 0o600, content: lines(spec.volumes) },
    { name: 'etc/understudy/hostname', mode: 0o600, content: lines([spec.hostname]) },
    ...files,
  ]);
  fs.writeFileSync(initrd, Buffer.concat([fs.readFileSync(boot.initrd), ours]));
  for (const file of [kernel, initrd]) fs.chmodSync(file, 0o600);
  return {
    ...vm,
    boot: { kind: 'kernel', kernel, initrd, append: boot.append },
    disks: disks.map((id) => ({ id, readOnly: false })),
  };
}
