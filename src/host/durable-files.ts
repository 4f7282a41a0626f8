/** Directories that survive the power: made for their owner only, with their names flushed too. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';

/**
 * Makes a directory and those above it that are missing. When it resolves, all their names are on
 * the disk: what is flushed into the directory later cannot vanish together with it.
 */
export async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const top = path.dirname(path.resolve(first));
  for (let at = path.dirname(path.resolve(directory)); ; at = path.dirname(at)) {
    await flushDirectory(at);
    if (at === top) return;
  }
}

/** What was made or renamed in it survives the power. */
export async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
