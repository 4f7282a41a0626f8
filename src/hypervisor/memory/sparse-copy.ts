/** Copies an image with its holes: the guest's memory and disks are mostly nothing. */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { nextData } from '../../host/libc.ts';
import { isZero } from './ram.ts';

export interface CopyOptions {
  /** Ends the copy, which throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Up to where the image is copied, bytes; holes count. */
  readonly onProgress?: (bytes: number) => void;
}

/** Into a new file, for its owner only. Throws `resources`; nothing of the new file stays then. */
export async function copySparse(
  from: string,
  to: string,
  { signal, onProgress }: CopyOptions = {},
): Promise<void> {
  let source: fs.promises.FileHandle | undefined;
  let target: fs.promises.FileHandle | undefined;
  try {
    source = await fs.promises.open(from, 'r');
    target = await fs.promises.open(to, 'wx', 0o600);
    const { size } = await source.stat();
    await target.truncate(size);
    const buffer = Buffer.alloc(limits.seedReadBytes);
    for (let at = 0; ; ) {
      signal?.throwIfAborted();
      const data = nextData(source.fd, at);
      if (data === undefined) return;
      const wanted = Math.min(buffer.length, data.to - data.from);
      const { bytesRead } = await source.read(buffer, 0, wanted, data.from);
      const bytes = buffer.subarray(0, bytesRead);
      if (!isZero(bytes)) await writeAll(target, bytes, data.from);
      at = data.from + bytesRead;
      onProgress?.(at);
    }
  } catch (thrown) {
    if (target !== undefined) fs.rmSync(to, { force: true });
    if (signal?.aborted === true) throw signal.reason;
    throw new UnderstudyError('resources', `Cannot copy '${from}' to '${to}'`, {
      cause: asError(thrown),
      hint: 'check that there is room, and that nothing is there already',
    });
  } finally {
    await source?.close();
    await target?.close();
  }
}

/** On a file system that is about to be full a write may take a part; only the next one fails. */
async function writeAll(
  target: fs.promises.FileHandle,
  bytes: Buffer,
  offset: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await target.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
  }
}
