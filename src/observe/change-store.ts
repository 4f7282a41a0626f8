/** Changes a snapshot store by hand, whoever writes to it. */
import { StoreInUse } from '../store/owner.ts';
import { whileOpen } from '../store/while-open.ts';
import { type StoreChanges, storeOfNode } from './node-store.ts';

/**
 * Lets `work` change the store in `directory`: opened here, or, when a node of this machine writes
 * to it, by asking that node. Throws `store` when another process or host has it.
 */
export async function changingStoreAt<T>(
  directory: string,
  work: (store: StoreChanges) => Promise<T>,
): Promise<T> {
  try {
    return await whileOpen(directory, 'write', work);
  } catch (thrown) {
    if (!(thrown instanceof StoreInUse) || thrown.node === undefined) throw thrown;
    return await work(storeOfNode(thrown.node));
  }
}
