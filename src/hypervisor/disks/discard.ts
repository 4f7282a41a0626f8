/**
 * What a guest discards (`fstrim`) becomes a hole of the image, on both nodes.
 *
 * A hole reads as zeros. On a file system without holes QEMU says that it is done and leaves what
 * was there: guest and copy would read different bytes, so an image there is refused.
 */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { punchHole } from '../../host/libc.ts';

export interface DiscardingDisk {
  readonly id: string;
  readonly path: string;
  readonly readOnly: boolean;
  /** The guest cannot discard. @default it can */
  readonly discard?: false;
}

/** Throws `disk` when a disk may be discarded, and its file system cannot make holes. */
export function requireHoles(disks: readonly DiscardingDisk[]): void {
  for (const { id, path, readOnly, discard } of disks) {
    if (readOnly || discard === false) continue;
    let fd: number;
    try {
      fd = fs.openSync(path, 'r+');
    } catch {
      continue; // whoever uses it says what is wrong
    }
    try {
      punchHole(fd, fs.fstatSync(fd).size, 4096); // behind the end: nothing changes
    } catch (thrown) {
      throw new UnderstudyError('disk', `The file system of '${path}' cannot make holes in files`, {
        cause: asError(thrown),
        hint: `move the image to ext4, XFS, Btrfs or a tmpfs, or say \`discard: false\` of disk '${id}' in the VM file`,
      });
    } finally {
      fs.closeSync(fd);
    }
  }
}
