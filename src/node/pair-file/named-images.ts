/**
 * The disk images that a pair file names: where they are, and whether each can be a disk.
 *
 * What is named is looked at before anything is touched: the guest, or a seed, would destroy a
 * container of another format. An image that looks like one because the guest wrote that to its
 * disk is named `raw:PATH`.
 */
import path from 'node:path';
import { UnderstudyError } from '../../base/errors.ts';
import { contentProblem } from '../../hypervisor/disks/image-format.ts';

/** Images of one node, by the disks' ids. */
export interface NamedImages {
  readonly disks: Readonly<Record<string, string>>;
  /** Disks whose images are raw by their operator's word, whatever they look like. */
  readonly rawByWord?: ReadonlySet<string>;
}

const rawPrefix = 'raw:';

/** The path of an image, absolute, whatever is said of it. */
export function imagePath(written: string, baseDir: string): string {
  return path.resolve(baseDir, isRawByWord(written) ? written.slice(rawPrefix.length) : written);
}

/** What a node's `disks` of the pair file says. */
export function namedImages(disks: Readonly<Record<string, string>>, baseDir: string): NamedImages {
  const entries = Object.entries(disks);
  const byWord = entries.filter(([, written]) => isRawByWord(written)).map(([id]) => id);
  return {
    disks: Object.fromEntries(entries.map(([id, written]) => [id, imagePath(written, baseDir)])),
    ...(byWord.length === 0 ? {} : { rawByWord: new Set(byWord) }),
  };
}

const isRawByWord = (written: string): boolean => written.startsWith(rawPrefix);

/** Throws `config` with every image of the node that is there and is no raw one. */
export function refuseForeignImages({
  name,
  disks,
  rawByWord,
}: NamedImages & { readonly name: string }): void {
  const problems = Object.entries(disks)
    .filter(([id]) => rawByWord?.has(id) !== true)
    .flatMap(([id, image]) => {
      const problem = contentProblem(image);
      return problem === undefined ? [] : [`nodes.${name}.disks.${id}: ${problem}`];
    });
  if (problems.length === 0) return;
  throw new UnderstudyError(
    'config',
    `A disk image of node '${name}' is not usable:\n  ${problems.join('\n  ')}`,
    {
      hint: "name the raw image, or let `understudy import` make a pair of it; if it is raw, and its guest wrote that to it, write 'raw:' before its path",
    },
  );
}
