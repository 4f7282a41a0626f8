/** All layers of an image, one over the other, in a directory. */
import { asError, UnderstudyError } from '../base/errors.ts';
import { StreamSource } from './byte-source.ts';
import type { Layer } from './open-image.ts';
import { RootTree } from './root-tree.ts';
import { readTar, type TarEntry } from './tar-reader.ts';

export interface UnpackOptions {
  /** Ends it, which throws the signal's reason. */
  readonly signal: AbortSignal;
  /** Which layer it is at, from 1, and how many bytes of files were written since the first. */
  readonly onProgress: (layer: number, bytes: number) => void;
}

/**
 * `dir` is there, and empty; who calls removes it when this fails.
 *
 * @throws UnderstudyError `config` for a layer that is damaged or leads out of the root, `rights`
 * when this is not root, `resources` when there is no room.
 */
export async function unpack(
  layers: readonly Layer[],
  dir: string,
  options: UnpackOptions,
): Promise<void> {
  requireRootUser();
  const tree = new RootTree(dir);
  let bytes = 0;
  for (const [index, { name, stream, hasWhiteouts }] of layers.entries()) {
    const source = new StreamSource(stream());
    const watched = async function* (): AsyncGenerator<TarEntry> {
      for await (const entry of readTar(source, name)) {
        options.signal.throwIfAborted();
        options.onProgress(index + 1, bytes);
        bytes += entry.bytes;
        yield entry;
      }
    };
    try {
      await tree.lay(watched(), { hasWhiteouts });
      // Its digests are told at its end, which lies behind that of the archive.
      await source.skip(Number.MAX_SAFE_INTEGER);
    } catch (thrown) {
      throw told(thrown, options.signal);
    } finally {
      await source.close();
    }
  }
}

/** Throws `rights`: only root can keep the owners of files. */
export function requireRootUser(): void {
  if (process.getuid?.() === 0) return;
  throw new UnderstudyError(
    'rights',
    `Files of an image belong to several users, which only root can keep: this is user ${process.getuid?.()}`,
    { hint: 'run it as root; the pair that is made can then be given to another user (chown -R)' },
  );
}

function told(thrown: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || thrown instanceof UnderstudyError) return thrown;
  const { code, path: file } = thrown as NodeJS.ErrnoException & { path?: string };
  if (code === undefined) return thrown;
  const isRefused = code === 'EPERM' || code === 'EACCES';
  return new UnderstudyError(
    isRefused ? 'rights' : 'resources',
    `Cannot lay the image out${file === undefined ? '' : ` at '${file}'`}`,
    {
      cause: asError(thrown),
      hint: isRefused
        ? 'run it as root, with all of its rights'
        : 'make room, or give another --out',
    },
  );
}
