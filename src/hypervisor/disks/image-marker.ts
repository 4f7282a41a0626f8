/**
 * The mark of a disk image that is being seeded: a file `IMAGE.seeding` beside it.
 *
 * A seed writes differences into an older image. Until it is complete the image is a mixture of two
 * times, which no machine may be booted from; and a node that dies in between leaves it like that.
 * So do the images of a machine that are replaced one after the other, by a restart from a
 * snapshot.
 *
 * Contract
 *  1. The mark is on the disk before the first byte of the image is changed.
 *  2. It is removed after all bytes of the seed, or all images of the restart, are on the disk.
 */
import fs from 'node:fs';
import path from 'node:path';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { flushPath, flushPathSync } from '../../host/durable-files.ts';

const markOf = (image: string): string => `${image}.seeding`;

/** How a mark of a restart begins. */
const restart = 'restart';

/** Marks an image, durably. `writer` names who changes it: `seed ID`, `restart ID`. */
export function markImage(image: string, writer: `${'seed' | typeof restart} ${string}`): void {
  try {
    const text = `${writer} writes to this image; it is a mixture until that is complete\n`;
    fs.writeFileSync(markOf(image), text, { mode: 0o600, flush: true });
    flushPathSync(path.dirname(image));
  } catch (thrown) {
    throw new UnderstudyError('resources', `Cannot create '${markOf(image)}' for ${writer}`, {
      cause: asError(thrown),
      hint: 'check that its directory exists, is writable and has room',
    });
  }
}

/** Not waited for by the thread of a node: its disk is busy with the image just then. */
export async function unmarkImage(image: string): Promise<void> {
  await fs.promises.rm(markOf(image), { force: true });
  await flushPath(path.dirname(image));
}

/** Throws `disk` when one of the images may not be booted from. */
export function refuseMarked(images: Iterable<string>): void {
  for (const image of images) {
    const mark = markOf(image);
    if (!fs.existsSync(mark)) continue;
    const isRestart = fs.readFileSync(mark, 'latin1').startsWith(restart);
    const what = isRestart ? 'a restart from a snapshot' : 'a seed of it';
    throw new UnderstudyError(
      'disk',
      `Disk image '${image}' is a mixture: ${what} broke off in the middle`,
      {
        hint: isRestart
          ? `put the '.before-restart' of all images back, then remove '${mark}'`
          : `start the other node and let this one be seeded; remove '${mark}' only if you have restored the image`,
      },
    );
  }
}
