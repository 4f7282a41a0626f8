/**
 * Opening a store: who may write, what a process left that died, and what is there.
 */
import fs from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../base/errors.ts';
import { flushPath } from '../host/durable-files.ts';
import { Catalogue, removeCatalogue } from './catalogue.ts';
import { failure, isMissing } from './failure.ts';
import { Places, temporaryPrefix } from './file-names.ts';
import { type Files, realFiles } from './files.ts';
import { Owner, type Writer } from './owner.ts';
import { StoreParts } from './parts.ts';

export interface StoreOptions extends Writer {
  /** Made if it does not exist and the store is opened for writing. */
  readonly directory: string;
  /** Any number of processes may read while one writes. @default 'write' */
  readonly mode?: 'read' | 'write';
  /** @default realFiles */
  readonly files?: Files;
  /** A catalogue in memory is made at each open. Readers have that always. @default 'file' */
  readonly catalogue?: 'file' | 'memory';
}

/** An open store, in parts. */
export interface OpenedStore {
  readonly parts: StoreParts;
  /** Another process may open it then. */
  readonly close: () => Promise<void>;
  /** The same, of one that failed: whoever opens it next looks at all files anew. */
  readonly abandon: () => Promise<void>;
  /** It was not closed by who wrote last: there may be chunks that nobody needs. */
  readonly isAfterCrash: boolean;
}

/** As `openStore` (store.ts). */
export async function openParts(options: StoreOptions): Promise<OpenedStore> {
  const { mode = 'write', files = realFiles } = options;
  const places = new Places(options.directory);
  try {
    return mode === 'write'
      ? await openWriter(files, places, options)
      : await openReader(files, places);
  } catch (thrown) {
    throw failure(`Cannot open store '${places.directory}'`, thrown);
  }
}

async function openReader(files: Files, places: Places): Promise<OpenedStore> {
  await files.size(places.packs).catch((thrown: unknown) => {
    if (!isMissing(thrown)) throw thrown;
    throw new UnderstudyError('store', `There is no snapshot store in '${places.directory}'`);
  });
  const parts = new StoreParts({ files, places, catalogue: Catalogue.open(), mode: 'read' });
  try {
    await parts.refresh();
    const close = async () => parts.close();
    return { parts, close, abandon: close, isAfterCrash: false };
  } catch (error) {
    parts.close();
    throw error;
  }
}

async function openWriter(
  files: Files,
  places: Places,
  { catalogue: kind = 'file', ...writer }: StoreOptions,
): Promise<OpenedStore> {
  const owner = await Owner.claim(files, places, writer);
  let parts: StoreParts | undefined;
  try {
    await files.makeDirectory(places.packs);
    await files.makeDirectory(places.snapshots);
    await files.makeDirectory(places.logs);
    await sweep(files, places);
    const isAfterCrash = kind === 'file' && fs.existsSync(places.openCatalogue);
    const catalogue = kind === 'file' ? openCatalogue(places) : Catalogue.open();
    const opened = new StoreParts({ files, places, catalogue, mode: 'write' });
    parts = opened;
    await opened.refresh();
    const close = async () => {
      opened.close();
      if (kind === 'file') await keepCatalogue(files, places);
      await owner.release();
    };
    const abandon = async () => {
      opened.close();
      await owner.release();
    };
    return { parts: opened, close, abandon, isAfterCrash };
  } catch (error) {
    parts?.close();
    await owner.release().catch(() => undefined);
    throw error;
  }
}

/** Temporary files that a process left when it died. */
async function sweep(files: Files, places: Places): Promise<void> {
  const visit = async (directory: string, depth: number): Promise<void> => {
    for (const name of await files.list(directory)) {
      const file = path.join(directory, name);
      if (name.startsWith(temporaryPrefix)) await files.remove(file);
      else if (depth > 0) await visit(file, depth - 1);
    }
  };
  await visit(places.owners, 0);
  await visit(places.packs, 0);
  await visit(places.snapshots, 1);
  await visit(places.logs, 2);
}

/** One that was not closed is thrown away: it was not flushed. */
function openCatalogue(places: Places): Catalogue {
  removeCatalogue(places.openCatalogue);
  if (fs.existsSync(places.catalogue)) fs.renameSync(places.catalogue, places.openCatalogue);
  return Catalogue.open(places.openCatalogue);
}

/** Gives a closed catalogue its name back. Should that fail, the next open makes a new one. */
async function keepCatalogue(files: Files, places: Places): Promise<void> {
  try {
    await flushPath(places.openCatalogue);
    fs.renameSync(places.openCatalogue, places.catalogue);
    await files.syncDirectory(places.directory);
  } catch {
    removeCatalogue(places.openCatalogue);
  }
}
