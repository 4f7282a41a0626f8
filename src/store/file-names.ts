/**
 * Where things lie in a store, and how a file gets its name: written under a temporary name,
 * flushed, renamed, and the folder flushed. So a file with a name of the store is always whole.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import type { RunName } from '../ports/snapshot-store.ts';
import type { Files, StoreFile } from './files.ts';

export const temporaryPrefix = '.new-';
export const packSuffix = '.pack';
export const manifestSuffix = '.snapshot';
export const pieceSuffix = '.log';

/** The places in a store's directory. */
export class Places {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = path.resolve(directory);
  }

  get owners(): string {
    return path.join(this.directory, 'owners');
  }

  get packs(): string {
    return path.join(this.directory, 'packs');
  }

  get snapshots(): string {
    return path.join(this.directory, 'snapshots');
  }

  get logs(): string {
    return path.join(this.directory, 'logs');
  }

  /** The catalogue while nobody has it open. */
  get catalogue(): string {
    return path.join(this.directory, 'catalogue.sqlite');
  }

  /** The catalogue while it is open: found after a crash, and thrown away. */
  get openCatalogue(): string {
    return path.join(this.directory, 'catalogue.open.sqlite');
  }

  pack(id: string): string {
    return path.join(this.packs, id + packSuffix);
  }

  manifest(vm: string, id: string): string {
    return path.join(this.snapshots, vm, id + manifestSuffix);
  }

  run({ vm, run }: RunName): string {
    return path.join(this.logs, vm, run);
  }
}

export function temporaryName(directory: string): string {
  return path.join(directory, temporaryPrefix + randomBytes(8).toString('hex'));
}

/** Names that become names of folders. Throws `config`. */
export function checkName(name: string, what: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)) return;
  throw new UnderstudyError(
    'config',
    `A ${what} has 1 to 100 letters, digits, '.', '_' and '-', and begins with none of the last ` +
      `but '_': current value is ${JSON.stringify(name.slice(0, 120))}`,
  );
}

/** Writes a whole file; it is there, and will be after a loss of power, or it is not. */
export async function writeWhole(files: Files, file: string, bytes: Uint8Array): Promise<void> {
  const directory = path.dirname(file);
  const temporary = temporaryName(directory);
  const handle = await files.create(temporary);
  try {
    await handle.append(bytes);
    await settle(files, handle, temporary, file);
  } catch (error) {
    await discard(files, handle, temporary);
    throw error;
  }
}

/** Gives a file that was written its name. */
export async function settle(
  files: Files,
  handle: StoreFile,
  temporary: string,
  file: string,
): Promise<void> {
  await handle.sync();
  await handle.close();
  await files.rename(temporary, file);
  await files.syncDirectory(path.dirname(file));
}

/** Gives up a file that has no name yet; what cannot be removed is swept at the next open. */
export async function discard(files: Files, handle: StoreFile, temporary: string): Promise<void> {
  await handle.close().catch(() => undefined);
  await files.remove(temporary).catch(() => undefined);
}

/** Reads a whole file of at most `bytesMax`; `undefined` when it is longer. */
export async function readWhole(
  files: Files,
  file: string,
  bytesMax: number,
): Promise<Buffer | undefined> {
  const handle = await files.open(file);
  try {
    const bytes = await handle.read(0, Math.min(bytesMax + 1, (await files.size(file)) + 1));
    return bytes.length > bytesMax ? undefined : bytes;
  } finally {
    await handle.close();
  }
}
