/** Files whose every step is told when it is done: who copies is seen to get on, or to hang. */
import type { Files, StoreFile } from '../files.ts';

export function watchedFiles(files: Files, onStep: () => void): Files {
  const told = async <T>(step: Promise<T>): Promise<T> => {
    const result = await step;
    onStep();
    return result;
  };
  const watched = async (opening: Promise<StoreFile>): Promise<StoreFile> => {
    const file = await told(opening);
    return {
      read: (offset, bytes) => told(file.read(offset, bytes)),
      append: (bytes) => told(file.append(bytes)),
      sync: () => told(file.sync()),
      close: () => told(file.close()),
    };
  };
  return {
    makeDirectory: (directory) => told(files.makeDirectory(directory)),
    list: (directory) => told(files.list(directory)),
    create: (file) => watched(files.create(file)),
    open: (file) => watched(files.open(file)),
    size: (file) => told(files.size(file)),
    rename: (from, to) => told(files.rename(from, to)),
    remove: (file) => told(files.remove(file)),
    syncDirectory: (directory) => told(files.syncDirectory(directory)),
  };
}
