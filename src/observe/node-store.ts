/**
 * A store that a node writes to, changed through that node: what `snapshot rm` needs of a store.
 */
import { UnderstudyError } from '../base/errors.ts';
import { errorOf, type Refusal } from '../node/refusal.ts';
import type { Collected, SnapshotStore } from '../ports/snapshot-store.ts';
import type { WritingNode } from '../store/owner.ts';
import { askNode } from './control-client.ts';

/** What changes a store by hand. */
export type StoreChanges = Pick<SnapshotStore, 'remove' | 'collect'>;

type Answer<T> = Refusal | ({ readonly ok: true } & T);

/** Errors are the store's own, as the node met them; `store` when the node is gone. */
export function storeOfNode(node: WritingNode): StoreChanges {
  const ask = async <T>(command: string, more?: Readonly<Record<string, string>>) => {
    const answer = await askNode<Answer<T>>(node.control, command, more).catch((cause: unknown) => {
      throw gone(node, cause);
    });
    if (!answer.ok) throw errorOf(answer);
    return answer;
  };
  return {
    remove: async (snapshot) => {
      await ask('removeSnapshot', { snapshot });
    },
    collect: () => ask<Collected>('collectSnapshots'),
  };
}

function gone({ name, pair, control }: WritingNode, cause: unknown): UnderstudyError {
  return new UnderstudyError(
    'store',
    `Node '${name}' of pair '${pair}', which writes to the store, did not answer on '${control}'`,
    {
      cause,
      mayPass: true,
      hint: 'run this again: if the node has ended, it is done without it; `understudy snapshot ls` tells what is left',
    },
  );
}
