/** Makes an ext4 file system of a directory, as a sparse raw image. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { findProgram } from '../host/processes.ts';
import { containerLimits } from './limits.ts';

/** What a tree of files needs of a file system. */
export interface TreeSize {
  /** Of contents, each in whole blocks. */
  readonly bytes: number;
  readonly files: number;
}

const blockBytes = 4096;

/** Of all below `dir`; other names of one file, and other file systems, are not counted. */
export function treeSize(dir: string): TreeSize {
  const { dev } = fs.lstatSync(dir);
  const seen = new Set<number>();
  let [bytes, files] = [0, 0];
  const add = (place: string): void => {
    const stat = fs.lstatSync(place);
    if (stat.dev !== dev || seen.has(stat.ino)) return;
    if (stat.nlink > 1) seen.add(stat.ino);
    files += 1;
    bytes += Math.ceil(Math.min(stat.size, stat.blocks * 512) / blockBytes) * blockBytes;
    if (stat.isDirectory()) for (const name of fs.readdirSync(place)) add(path.join(place, name));
  };
  add(dir);
  return { bytes, files };
}

export interface FileSystemOptions {
  /** New. */
  readonly image: string;
  /** All below it; left out: nothing. */
  readonly from: string | undefined;
  readonly size: TreeSize;
  /** Of the image; left out: what the files need, and some room. */
  readonly bytes: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Throws `config` when `bytes` do not do, `environment` without `mke2fs`, `resources` when it
 * fails, and the signal's reason.
 */
export async function makeFileSystem(options: FileSystemOptions): Promise<void> {
  const { image, from, size, signal } = options;
  const bytes = sizeOf(options);
  fs.writeFileSync(image, '', { flag: 'wx', mode: 0o600 });
  fs.truncateSync(image, bytes);
  const root = from === undefined ? undefined : fs.statSync(from);
  // All is laid out now: a machine's disk shall be quiet when the machine is.
  const owner = `root_owner=${root?.uid ?? 0}:${root?.gid ?? 0}`;
  const extended = [owner, 'lazy_itable_init=0', 'lazy_journal_init=0'].join(',');
  // As many inodes as usual for what is free, and one for each file.
  const inodes = Math.ceil(bytes / bytesPerInode) + size.files;
  // A journal is written whole, on this host and on the other one.
  const journal = bytes < 64 * mebibyte ? 4 : 8;
  await run(
    'mke2fs',
    [
      ...['-q', '-F', '-t', 'ext4', '-b', `${blockBytes}`, '-m', '0', '-N', `${inodes}`],
      ...['-J', `size=${journal}`, '-E', extended, ...(from === undefined ? [] : ['-d', from])],
      image,
    ],
    signal,
  );
  // As it is in a directory: there is no lost+found, which keeps databases from a volume.
  const mode = ((root?.mode ?? 0o755) & 0o7777) | 0o40000;
  const requests = `rmdir lost+found\nset_inode_field / mode 0${mode.toString(8)}\n`;
  await run('debugfs', ['-w', '-f', '-', image], signal, requests);
}

/** Of the image. Throws `config` when it was given, and does not do. */
function sizeOf({ image, size, bytes }: FileSystemOptions): number {
  const needed = (size.bytes * extentShare + size.files * inodeBytes) / mebibyte;
  const least = Math.ceil(needed) * mebibyte + containerLimits.diskBytesMin;
  if (bytes === undefined) return least + containerLimits.freeBytes;
  if (bytes >= least) return bytes;
  throw new UnderstudyError(
    'config',
    `The disk '${path.basename(image)}' is too small: it must have at least ${least / mebibyte}M for ` +
      `what is on it, and is to have ${Math.floor(bytes / mebibyte)}M`,
    { hint: 'give a larger one: --disk-size, or behind -v NAME:/path' },
  );
}

const mebibyte = 1024 * 1024;
/** As mke2fs has it for disks of this size. */
const bytesPerInode = 16_384;
/** An inode, and its part of a directory. */
const inodeBytes = 512;
/** Contents, and the blocks that say where they are. */
const extentShare = 1.1;

async function run(
  name: string,
  args: readonly string[],
  signal: AbortSignal,
  input = '',
): Promise<void> {
  const program = [name, `/usr/sbin/${name}`, `/sbin/${name}`]
    .map(findProgram)
    .find((found) => found);
  if (program === undefined) {
    throw new UnderstudyError('environment', `Cannot find the program '${name}'`, {
      hint: 'install it (package e2fsprogs)',
    });
  }
  signal.throwIfAborted();
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  const abort = (): void => {
    child.kill('SIGKILL');
  };
  signal.addEventListener('abort', abort);
  let words = '';
  child.stderr.on('data', (text: Buffer) => {
    words = (words + text.toString()).slice(-2000);
  });
  child.stdin.on('error', () => undefined); // it has ended: its words say why
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  signal.removeEventListener('abort', abort);
  signal.throwIfAborted();
  if (code === 0) return;
  throw new UnderstudyError('resources', `'${name}' could not make a file system`, {
    cause: new Error(words.trim() || `it ended with ${code}`),
    hint: 'make room in --out, or give a larger disk with --disk-size',
  });
}
