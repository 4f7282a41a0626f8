/** Makes a pair for disk images that something else made. */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import type { VmDescription } from '../../hypervisor/config.ts';
import { lockImage } from '../../hypervisor/disks/image-lock.ts';
import { copySparse } from '../../hypervisor/memory/sparse-copy.ts';
import { writeVmFile } from '../../hypervisor/vm-file/write.ts';
import { preparedPaths } from '../../restore/prepared.ts';
import { Progress } from '../../text/progress.ts';
import { filledUnlessInterrupted } from './filled.ts';
import { type MachineOptions, machineFrom } from './import-machine.ts';
import { checkPairName, goOnLines, writePairFile } from './new-pair.ts';

export interface ImportOptions extends MachineOptions {
  readonly out: string;
  readonly json?: boolean;
}

/** Throws, and leaves nothing, when there is something wrong. */
export async function importDisks(
  images: readonly string[],
  options: ImportOptions,
): Promise<void> {
  const { as, egress } = options;
  checkPairName(as);
  const vm = await machineFrom(images, options);
  const dir = path.resolve(options.out);
  const made = await filledUnlessInterrupted(dir, 'nothing is imported', (signal) =>
    writePair(dir, { vm, images, as, egress, signal }),
  );
  if (made === undefined) return;
  const lines = [`${as} is made`, ...goOnLines(made.pair, { startsBy: '' })];
  process.stdout.write(`${options.json === true ? JSON.stringify(made) : lines.join('\n')}\n`);
}

/** All of the directory; the pair file comes last, because without it nothing can be started. */
async function writePair(
  dir: string,
  { vm, images, as, egress, signal }: Work,
): Promise<{ dir: string; pair: string; vm: string; disks: readonly string[] }> {
  const paths = preparedPaths(dir);
  const disks = vm.disks.map(({ id }) => id);
  requireRoom(dir, images);
  const copies = images.map((from, index) => ({ from, to: paths.disk(disks[index] as string) }));
  await copyAll(copies, signal);
  await fs.promises.writeFile(paths.vmFile, writeVmFile(vm), { mode: 0o600 });
  const pair = await writePairFile(dir, { name: as, disks, egress });
  return { dir, pair, vm: paths.vmFile, disks };
}

interface Work {
  readonly vm: VmDescription;
  readonly images: readonly string[];
  readonly as: string;
  readonly egress: string;
  readonly signal: AbortSignal;
}

/** Throws `resources`. The guest may fill the holes later; that is for who watches the disk. */
function requireRoom(dir: string, images: readonly string[]): void {
  const { bavail, bsize } = fs.statfsSync(dir);
  const need = images.reduce((sum, image) => sum + fs.statSync(image).blocks * blockBytes, 0);
  if (need <= bavail * bsize) return;
  throw new UnderstudyError(
    'resources',
    `'${dir}' has too little room: ${Math.floor((bavail * bsize) / mebibyte)} MiB are free, ` +
      `${mebibytes(need)} MiB are needed`,
    { hint: 'free some, or give another directory with --out' },
  );
}

/** The unit of `blocks` of stat(2), whatever the file system's own is. */
const blockBytes = 512;

const mebibyte = 1024 * 1024;
const mebibytes = (bytes: number): number => Math.ceil(bytes / mebibyte);

/**
 * Throws `resources`, `disk` when an image is in use or did not stay the same, and the signal's
 * reason.
 */
async function copyAll(
  copies: readonly { readonly from: string; readonly to: string }[],
  signal: AbortSignal,
): Promise<void> {
  const progress = new Progress(process.stderr);
  try {
    for (const { from, to } of copies) {
      const before = fs.statSync(from);
      const total = mebibytes(before.size);
      const release = lockImage(from, 'read');
      await copySparse(from, to, {
        signal,
        onProgress: (bytes) =>
          progress.status(`copying ${path.basename(from)}: ${mebibytes(bytes)} of ${total} MiB`),
      }).finally(release);
      const after = fs.statSync(from);
      if (after.mtimeMs === before.mtimeMs && after.size === before.size) continue;
      throw new UnderstudyError('disk', `'${from}' was written to while it was copied`, {
        hint: 'stop what uses it, and import it again',
      });
    }
  } finally {
    progress.end();
  }
}
