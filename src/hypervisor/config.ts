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
import { findFirmware } from './qemu/firmware.ts';
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
  readonly machine: string;
  /** Absolute path of the firmware's image. */
  readonly firmware: string;
  readonly cpu: string;
  /** A multiple of 2 MiB. */
  readonly memoryBytes: number;
  readonly boot: VmBoot;
  /** In the order in which the guest sees them. */
  readonly disks: readonly VmDisk[];
  readonly nics: readonly { readonly mac: string }[];
}

/** A machine as its file alone describes it, whatever QEMU there is. */
export type VmDescription = Omit<VmConfig, 'firmware'>;

/**
 * Reads and checks a VM file.
 *
 * @throws UnderstudyError `config` with every problem, a line each; `environment` when there is no
 * such QEMU, or it has no firmware.
 */
export async function loadVmConfig(file: string): Promise<VmConfig> {
  const vm = await readVmDescription(file);
  await qemuVersion(vm.qemu); // knows best what is wrong with a program that is no QEMU
  return { ...vm, firmware: await findFirmware(vm.qemu) };
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

/**
 * SHA-256, hexadecimal, of all that must be equal on both nodes: the machine as the guest sees it,
 * and the contents of firmware, kernel and initial RAM disk, which a guest that reboots reads
 * again. Not the paths of anything. The version of QEMU must be equal too, and is not in here.
 *
 * @throws UnderstudyError `config` when the firmware, the kernel or the initial RAM disk cannot be
 * read any more.
 */
export async function vmFingerprint(vm: VmConfig): Promise<string> {
  const { boot } = vm;
  const same = [
    'understudy vm 2', // 2: without S3 and S4; discards reach the image
    vm.name,
    vm.machine,
    await contentDigest(vm.firmware),
    vm.cpu,
    vm.memoryBytes,
    boot.kind === 'disk'
      ? null
      : [
          await contentDigest(boot.kernel),
          boot.initrd === undefined ? null : await contentDigest(boot.initrd),
          boot.append ?? '',
        ],
    vm.disks.map(({ id, sizeBytes, readOnly, discard = true }) => [
      ...[id, sizeBytes ?? null, readOnly, discard],
    ]),
    vm.nics.map(({ mac }) => mac),
  ];
  return hash('sha256', JSON.stringify(same), 'hex');
}

async function contentDigest(file: string): Promise<string> {
  const digest = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file)) digest.update(chunk as Buffer);
  } catch (thrown) {
    throw new UnderstudyError('config', `Cannot read '${file}'`, { cause: asError(thrown) });
  }
  return digest.digest('hex');
}
