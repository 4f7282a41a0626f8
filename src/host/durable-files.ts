/** What survives the power: directories made for their owner only, names and contents flushed. */
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

const forOwner = { recursive: true, mode: 0o700 } as const;

/**
 * Makes a directory and those above it that are missing. When it resolves, all their names are on
 * the disk: what is flushed into the directory later cannot vanish together with it.
 */
export async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, forOwner);
  for (const above of namesOf(directory, first)) await flushPath(above);
}

export function makeDirectorySync(directory: string): void {
  const first = mkdirSync(directory, forOwner);
  for (const above of namesOf(directory, first)) flushPathSync(above);
}

/** Where the names are that were made: of `first`, the topmost one, and of all below it. */
function* namesOf(directory: string, first: string | undefined): Generator<string> {
  if (first === undefined) return;
  const top = path.dirname(path.resolve(first));
  for (let at = path.dirname(path.resolve(directory)); ; at = path.dirname(at)) {
    yield at;
    if (at === top) return;
  }
}

/** Replaces a file as a whole, for its owner only: written beside, flushed, renamed, flushed. */
export async function replaceFile(file: string, content: string): Promise<void> {
  const beside = `${file}.new`;
  await writeFile(beside, content, { mode: 0o600, flush: true });
  await rename(beside, file);
  await flushPath(path.dirname(file));
}

/** The content of a file, or what was made or renamed in a directory, survives the power. */
export async function flushPath(fileOrDirectory: string): Promise<void> {
  const handle = await open(fileOrDirectory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function flushPathSync(fileOrDirectory: string): void {
  const fd = openSync(fileOrDirectory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
