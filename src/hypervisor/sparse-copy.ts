/** Copies an image with its holes: the guest's memory and disks are mostly nothing. */
import fs from 'node:fs';
import { asError, UnderstudyError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { nextData } from './libc.ts';
import { isZero } from './ram.ts';

/** Into a new file, for its owner only. Throws `resources`; nothing of the new file stays then. */
export async function copySparse(from: string, to: string): Promise<void> {
  let source: fs.promises.FileHandle | undefined;
  let target: fs.promises.FileHandle | undefined;
  try {
    source = await fs.promises.open(from, 'r');
    target = await fs.promises.open(to, 'wx', 0o600);
    const { size } = await source.stat();
    await target.truncate(size);
    const buffer = Buffer.alloc(limits.seedReadBytes);
    for (let at = 0; ; ) {
      const data = nextData(source.fd, at);
      if (data === undefined) return;
      const wanted = Math.min(buffer.length, data.to - data.from);
      const { bytesRead } = await source.read(buffer, 0, wanted, data.from);
      const bytes = buffer.subarray(0, bytesRead);
      if (!isZero(bytes)) await target.write(bytes, 0, bytesRead, data.from);
      at = data.from + bytesRead;
    }
  } catch (thrown) {
    if (target !== undefined) fs.rmSync(to, { force: true });
    throw new UnderstudyError('resources', `Cannot copy '${from}' to '${to}'`, {
      cause: asError(thrown),
      hint: 'check that there is room, and that nothing is there already',
    });
  } finally {
    await source?.close();
    await target?.close();
  }
}
