/**
 * The machine, as its VM file describes it: checked, complete, and the same on both nodes.
 *
 * A VM file is YAML (docs/vm-file.md). Everything that is wrong with it is reported at once, with
 * line and reason; what would leave lockstep is refused here and not found out later.
 */
import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { asError, UnderstudyError } from '../base/errors.ts';
import type { MachinePart } from '../ports/link.ts';
import { findFirmware } from './qemu/firmware.ts';
import { fullMachineType } from './qemu/machine-type.ts';
import { qemuVersion } from './qemu/version.ts';
import { defaultDiskId, type Problem, readVmFile } from './vm-file/read.ts';
import type { VmFile } from './vm-file/schema.ts';

interface VmDisk {
  /** Names the disk on both nodes, in NBD and in QEMU. */
  readonly id: string;
  /** Raw image, absolute; a pair file may give each node another one. */
  readonly path?: string;
  /** What the image must have, bytes. */
  readonly sizeBytes?: number;
  readonly readOnly: boolean;
  /** The guest cannot give room back. */
  readonly discard?: false;
}

type VmBoot =
  | { readonly kind: 'disk' }
  | {
      readonly kind: 'kernel';
      /** Absolute paths. */
      readonly kernel: string;
      readonly initrd?: string;
      readonly append?: string;
    };

export interface VmConfig {
  readonly name: string;
  /** Path or name of the QEMU program. */
  readonly qemu: string;
  /** The same of an older one, whose machines a copy takes over to `qemu`. */
  readonly upgradeFrom?: string;
  /** The full name of a machine type. */
  readonly machine: string;
  /** Absolute path of the firmware's image. */
  readonly firmware: string;
  /** The VM file names it; otherwise it is that of `qemu`. */
  readonly isOwnFirmware: boolean;
  readonly cpu: string;
  /** A multiple of 2 MiB. */
  readonly memoryBytes: number;
  readonly boot: VmBoot;
  /** In the order in which the guest sees them. */
  readonly disks: readonly VmDisk[];
  readonly nics: readonly { readonly mac: string }[];
  /** Names of the serial ports behind the console: ttyS1 is the first. */
  readonly ports: readonly string[];
}

/** The name of the first serial port, which every machine has. */
export const consolePort = 'console';
/** What the port is called that the node itself answers at (docs/guest-port.md). */
export const agentPort = 'agent';

/** A machine as its file alone describes it, whatever QEMU there is: its type may be `pc`. */
export interface VmDescription extends Omit<VmConfig, 'firmware' | 'isOwnFirmware'> {
  readonly firmware?: string;
}

/**
 * Reads and checks a VM file.
 *
 * @throws UnderstudyError `config` with every problem, a line each; `environment` when there is no
 * such QEMU, or it has no firmware.
 */
export async function loadVmConfig(file: string): Promise<VmConfig> {
  const vm = await readVmDescription(file);
  await qemuVersion(vm.qemu); // knows best what is wrong with a program that is no QEMU
  return withQemu(vm);
}

/** What a VM file says of the machine. */
export function descriptionOf({ firmware, isOwnFirmware, ...vm }: VmConfig): VmDescription {
  return isOwnFirmware ? { ...vm, firmware } : vm;
}

/** What its QEMU adds to the description of a machine. Throws as `loadVmConfig`. */
export async function withQemu(vm: VmDescription): Promise<VmConfig> {
  const [machine, firmware] = await Promise.all([
    fullMachineType(vm.qemu, vm.machine),
    vm.firmware ?? findFirmware(vm.qemu),
  ]);
  return { ...vm, machine, firmware, isOwnFirmware: vm.firmware !== undefined };
}

/** As `loadVmConfig`, and asks no QEMU. */
export async function readVmDescription(file: string): Promise<VmDescription> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read VM file '${file}'`, {
      cause: asError(thrown),
      hint: 'check the path and the rights of the file',
    });
  }
  return parseVmConfig(text, { file, baseDir: path.dirname(path.resolve(file)) });
}

/**
 * Checks the text of a VM file, and the files it names (relative to `baseDir`).
 *
 * @throws UnderstudyError `config` with every problem, a line each; `file` is for the message.
 */
export function parseVmConfig(
  text: string,
  { file, baseDir }: { readonly file: string; readonly baseDir: string },
): VmDescription {
  const described = describeVm(text, baseDir);
  if ('vm' in described) return described.vm;
  const lines = described.problems.map(({ line, place, message }) =>
    place === '' ? `line ${line}: ${message}` : `line ${line}, ${place}: ${message}`,
  );
  const message = `VM file '${file}' is not usable:\n  ${lines.join('\n  ')}`;
  throw new UnderstudyError('config', message, { hint: 'see docs/vm-file.md' });
}

/** As `parseVmConfig`, for a caller that has its own words for what is wrong. */
export function describeVm(
  text: string,
  baseDir: string,
): { readonly vm: VmDescription } | { readonly problems: readonly Problem[] } {
  const read = readVmFile(text, baseDir);
  return isProblems(read) ? { problems: read } : { vm: complete(read) };
}

function isProblems(read: VmFile | readonly Problem[]): read is readonly Problem[] {
  return Array.isArray(read);
}

function complete(file: VmFile): VmDescription {
  return {
    name: file.name,
    qemu: file.qemu,
    ...(file.upgradeFrom === undefined ? {} : { upgradeFrom: file.upgradeFrom }),
    ...(file.firmware === undefined ? {} : { firmware: file.firmware }),
    machine: file.machine,
    cpu: file.cpu,
    memoryBytes: file.memory,
    boot: completeBoot(file.boot),
    disks: file.disks.map(({ id, path: image, size, readOnly, discard }, index) => ({
      id: id ?? defaultDiskId(index),
      ...(image === undefined ? {} : { path: image }),
      ...(size === undefined ? {} : { sizeBytes: size }),
      readOnly,
      ...(discard ? {} : { discard }),
    })),
    nics: file.nics.map(({ mac }, index) => ({ mac: mac ?? defaultMac(file.name, index) })),
    ports: file.ports,
  };
}

function completeBoot(boot: VmFile['boot']): VmBoot {
  if (boot?.kernel === undefined) return { kind: 'disk' };
  const { kernel, initrd, append } = boot;
  return {
    kind: 'kernel',
    kernel,
    ...(initrd === undefined ? {} : { initrd }),
    ...(append === undefined ? {} : { append }),
  };
}

/** The address of a card that has none in the file: the same on both nodes and at every start. */
export function defaultMac(name: string, index: number): string {
  const digest = hash('sha256', `understudy nic ${index} of ${name}`, 'hex');
  const tail = digest.slice(0, 6).match(/../g) as string[];
  return ['52', '54', '00', ...tail].join(':');
}

/** What must be equal on both nodes: for a program, and for people. */
export interface VmIdentity {
  /**
   * SHA-256, hexadecimal, of all that must be equal: the machine as the guest sees it, and the
   * contents of firmware, kernel and initial RAM disk, which a guest that reboots reads again. Not
   * the paths of anything. The version of QEMU must be equal too, and is not in here.
   */
  readonly fingerprint: string;
  /** The same, one by one. */
  readonly parts: readonly MachinePart[];
  /** The files in it, as they were read. */
  readonly bootFiles: readonly BootFile[];
}

/** A file that the machine boots with. */
export interface BootFile {
  readonly name: 'firmware' | 'kernel' | 'initrd';
  /** Absolute. */
  readonly path: string;
  /** Of its content, hexadecimal. */
  readonly sha256: string;
}

/** The fingerprint alone; throws as `vmIdentity`. */
export async function vmFingerprint(vm: VmConfig): Promise<string> {
  return (await vmIdentity(vm)).fingerprint;
}

/**
 * @throws UnderstudyError `config` when the firmware, the kernel or the initial RAM disk cannot be
 * read any more.
 */
export async function vmIdentity(vm: VmConfig): Promise<VmIdentity> {
  const { boot } = vm;
  const bootFiles: BootFile[] = [];
  const contentDigest = async (name: BootFile['name'], file: string): Promise<string> => {
    const sha256 = await fileDigest(file);
    bootFiles.push({ name, path: file, sha256 });
    return sha256;
  };
  const firmware = await contentDigest('firmware', vm.firmware);
  const started =
    boot.kind === 'disk'
      ? null
      : ([
          await contentDigest('kernel', boot.kernel),
          boot.initrd === undefined ? null : await contentDigest('initrd', boot.initrd),
          boot.append ?? '',
        ] as const);
  const disks = vm.disks.map(({ id, sizeBytes, readOnly, discard = true }) => [
    ...[id, sizeBytes ?? null, readOnly, discard],
  ]);
  const macs = vm.nics.map(({ mac }) => mac);
  const { name, machine, cpu, memoryBytes } = vm;
  // 2: without S3 and S4; discards reach the image. 3: the full name of the machine's type
  const same = [
    ...['understudy vm 3', name, machine, firmware, cpu, memoryBytes, started, disks, macs],
    // A machine without any is the one that it was before there were ports.
    ...(vm.ports.length === 0 ? [] : [vm.ports]),
  ];
  return {
    fingerprint: hash('sha256', JSON.stringify(same), 'hex'),
    parts: partsOf(vm, firmware, started),
    bootFiles,
  };
}

function partsOf(
  vm: VmConfig,
  firmware: string,
  started: readonly [kernel: string, initrd: string | null, append: string] | null,
): MachinePart[] {
  const content = (digest: string): string => `the file with SHA-256 ${digest.slice(0, 12)}...`;
  const part = (what: string, value: string): MachinePart => ({ what, value: brief(value) });
  const ofKernel = ([kernel, initrd, append]: NonNullable<typeof started>): MachinePart[] => [
    part('the kernel', content(kernel)),
    ...(initrd === null ? [] : [part('the initial RAM disk', content(initrd))]),
    // Not its text: there may be a password in it.
    part(
      'the kernel command line',
      `the text with SHA-256 ${hash('sha256', append).slice(0, 12)}...`,
    ),
  ];
  return [
    part("the machine's name", `'${vm.name}'`),
    part('the machine type', vm.machine),
    part('the CPU', vm.cpu),
    part('the memory', `${vm.memoryBytes / (1024 * 1024)} MiB`),
    part('the firmware', content(firmware)),
    ...(started === null ? [] : ofKernel(started)),
    ...vm.disks.map(({ id, sizeBytes, readOnly }, index) => {
      const size = sizeBytes === undefined ? 'of any size' : `of ${sizeBytes} bytes`;
      return part(`disk ${index}`, `'${id}', ${size}${readOnly ? ', read-only' : ''}`);
    }),
    ...vm.nics.map(({ mac }, index) => part(`network card ${index}`, mac)),
    ...vm.ports.map((name, index) => part(`serial port ${index + 1}`, `'${name}'`)),
  ];
}

/** A long one keeps its beginning, and what tells it from others. */
function brief(value: string): string {
  if (value.length <= partChars) return value;
  return `${value.slice(0, partChars)}... (SHA-256 ${hash('sha256', value).slice(0, 12)}...)`;
}

/** All parts of a machine fit into a hello. */
const partChars = 80;

async function fileDigest(file: string): Promise<string> {
  const digest = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file)) digest.update(chunk as Buffer);
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read '${file}'`, { cause: asError(thrown) });
  }
  return digest.digest('hex');
}
