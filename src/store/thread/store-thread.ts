/**
 * The thread of a store that is written to: does what its client (store-client.ts) asks.
 *
 * It stands back behind everything else that the machine has to do: a snapshot may be stored a
 * little later, a guest may not wait for that.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { partsOf } from '../../base/error-parts.ts';
import type { SnapshotStore, SnapshotWriter } from '../../ports/snapshot-store.ts';
import { storeLimits } from '../limits.ts';
import { openStore } from '../store.ts';
import type { Answer, CallName, Request, StoreCalls, ThreadStart } from './calls.ts';
import { standBack } from './own-thread.ts';

type Served = {
  readonly [K in CallName]: (
    ...args: Parameters<StoreCalls[K]>
  ) => Promise<ReturnType<StoreCalls[K]>>;
};

function serve({ directory, node }: ThreadStart): Served {
  let opened: SnapshotStore | undefined;
  const writers = new Map<number, SnapshotWriter>();
  let begun = 0;
  const store = (): SnapshotStore => {
    if (opened === undefined) throw new Error('the store was not opened');
    return opened;
  };
  const writerOf = (number: number): SnapshotWriter => {
    const writer = writers.get(number);
    if (writer === undefined) throw new Error(`snapshot ${number} was not begun, or is over`);
    return writer;
  };
  return {
    open: async () => {
      opened = await openStore({ directory, node });
    },
    begin: async (facts, parent) => {
      const writer = await store().begin(facts, parent);
      begun += 1;
      writers.set(begun, writer);
      return { writer: begun, id: writer.id, chunkBytes: writer.chunkBytes };
    },
    put: (writer, image, offset, bytes) => writerOf(writer).put(image, offset, bytes),
    deviceState: (writer, bytes) => writerOf(writer).deviceState(bytes),
    commit: async (writer) => {
      const manifest = await writerOf(writer).commit();
      writers.delete(writer);
      return manifest;
    },
    abort: async (writer) => {
      await writers.get(writer)?.abort();
      writers.delete(writer);
    },
    append: (piece) => store().log.append(piece),
    list: (filter) => store().list(filter),
    usage: () => store().usage(),
    remove: (id) => store().remove(id),
    collect: () => store().collect(),
    close: async () => opened?.close(),
  };
}

standBack(storeLimits.threadNiceness);
const served = serve(workerData as ThreadStart);

async function answer<K extends CallName>({ request, call, args }: Request<K>): Promise<Answer> {
  try {
    return { request, value: await served[call](...args) };
  } catch (thrown) {
    return { request, refused: partsOf(thrown) };
  }
}

parentPort?.on('message', (request: Request) => {
  void answer(request).then((answered) => parentPort?.postMessage(answered));
});
