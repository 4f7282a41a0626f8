/**
 * What a disk image is by its content, looked at wherever one is named: a guest that was given a
 * container of another format as its raw disk would destroy it.
 *
 * Most formats begin with a magic number. A fixed VHD is a raw image with a footer behind it: only
 * its end tells. A raw image may look like another format because the guest wrote that to it; its
 * operator says so, with `raw:` before the path in the pair file.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asError } from '../../base/errors.ts';

/** A format, as people call it and as `qemu-img -f` does. */
interface Format {
  readonly name: string;
  readonly qemuName: string;
}

const vmdk: Format = { name: 'vmdk', qemuName: 'vmdk' };
const vhd: Format = { name: 'vhd', qemuName: 'vpc' };
const parallels: Format = { name: 'parallels', qemuName: 'parallels' };
const vhdFooter = Buffer.from('conectix');

const magics: readonly { format: Format; magic: Buffer; at: number }[] = [
  { format: { name: 'qcow', qemuName: 'qcow' }, magic: latin1('QFI\xfb\0\0\0\x01'), at: 0 },
  { format: { name: 'qcow2', qemuName: 'qcow2' }, magic: latin1('QFI\xfb'), at: 0 },
  { format: vmdk, magic: latin1('KDMV'), at: 0 },
  { format: vmdk, magic: latin1('COWD'), at: 0 },
  { format: vmdk, magic: latin1('# Disk DescriptorFile'), at: 0 },
  { format: { name: 'vhdx', qemuName: 'vhdx' }, magic: latin1('vhdxfile'), at: 0 },
  { format: vhd, magic: vhdFooter, at: 0 },
  { format: { name: 'vdi', qemuName: 'vdi' }, magic: latin1('\x7f\x10\xda\xbe'), at: 64 },
  { format: { name: 'qed', qemuName: 'qed' }, magic: latin1('QED\0'), at: 0 },
  { format: parallels, magic: latin1('WithoutFreeSpace'), at: 0 },
  { format: parallels, magic: latin1('WithouFreSpacExt'), at: 0 },
];
const formatsByExtension: Readonly<Record<string, string>> = {
  '.qcow2': 'qcow2',
  '.qcow': 'qcow',
  '.vmdk': 'vmdk',
  '.vhdx': 'vhdx',
  '.vhd': 'vhd',
  '.vdi': 'vdi',
};

const headBytes = 68;
/** A footer of the first versions is a byte shorter. */
const footerBytes = [512, 511] as const;
const sectorBytes = 512;

const raw = 'only raw images can be mirrored: QEMU caches the tables of other formats unlogged';

/**
 * Why a file cannot be a disk by what it is and what it holds: no regular file, of another format,
 * or of a size that no disk has. `undefined` for one that can, or is not there.
 */
export function contentProblem(file: string): string | undefined {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isFile()) return `must be a regular file: ${file} is none`;
  let format: Format | undefined;
  try {
    format = formatOf(file, stat.size);
  } catch (thrown) {
    return `cannot be read: ${asError(thrown).message}`;
  }
  if (format !== undefined) return `${file} is a ${format.name} image. ${advice(file, format)}`;
  return sizeProblem(file, stat.size);
}

/** Why an image that somebody brings is refused: by its content, by its name, or as it is empty. */
export function broughtImageProblem(file: string): string | undefined {
  const byContent = contentProblem(file);
  if (byContent !== undefined) return byContent;
  const name = formatsByExtension[path.extname(file).toLowerCase()];
  if (name !== undefined) return `${file} is named like a ${name} image. ${advice(file)}`;
  return fs.existsSync(file) && fs.statSync(file).size === 0 ? notASize(file, 0) : undefined;
}

/** What to do with an image that is not raw; without its format when only its name is known. */
export function advice(image: string, format?: { readonly qemuName: string }): string {
  const given = format === undefined ? [] : ['-f', format.qemuName];
  const name = path.basename(image);
  const command = ['qemu-img', 'convert', '-O', 'raw', ...given, name, rawNameOf(name)];
  return `${raw}. Convert it: ${command.map(shellWord).join(' ')}`;
}

function formatOf(file: string, size: number): Format | undefined {
  const fd = fs.openSync(file, 'r');
  try {
    const read = (length: number, at: number): Buffer => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, at));
    };
    const head = read(headBytes, 0);
    const found = magics.find(({ magic, at }) =>
      head.subarray(at, at + magic.length).equals(magic),
    );
    if (found !== undefined) return found.format;
    const hasFooter = footerBytes.some(
      (bytes) => size > bytes && read(vhdFooter.length, size - bytes).equals(vhdFooter),
    );
    return hasFooter ? vhd : undefined;
  } finally {
    fs.closeSync(fd);
  }
}

function sizeProblem(file: string, size: number): string | undefined {
  return size % sectorBytes === 0 ? undefined : notASize(file, size);
}

const notASize = (file: string, size: number): string =>
  `must have a size that is a multiple of 512 bytes, and not 0: ${file} has ${size} bytes`;

/** Never the image itself: a container may well be named like a raw image. */
function rawNameOf(image: string): string {
  const named = `${image.replace(/\.[a-z0-9]+$/i, '')}.raw`;
  return named === image ? image.replace(/\.raw$/, '.converted.raw') : named;
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
