/**
 * The process that copies what a node keeps to another store (copier.ts).
 *
 * It is a process of its own, not a thread of the node: a share whose server is away keeps whoever
 * asks it for as long as it likes, and a node in which one thread hangs cannot even end.
 *
 *   copy-main ORDER [check]     ORDER: JSON of a CopyOrder; `check`: the place is looked at only
 *
 * It talks to who started it through the channel of Node, and ends with it.
 */
import { partsOf } from '../../base/error-parts.ts';
import { StoreInUse } from '../owner.ts';
import { Copier } from './copier.ts';
import type { CopyMessage, CopyOrder, CopyWord } from './news.ts';
import { requirePlace } from './place.ts';

const [, , text = '{}', mode] = process.argv;
const order = JSON.parse(text) as CopyOrder;

const tell = (message: CopyMessage): void => {
  process.send?.(message);
};

async function work(): Promise<void> {
  if (mode === 'check') {
    await requirePlace(order.from, order.to);
    tell({ type: 'checked' });
    return;
  }
  const copier = new Copier({ order, tell });
  process.on('message', (word: CopyWord) => copier.say(word));
  process.on('SIGTERM', () => copier.stop());
  await copier.run();
}

/** The last words are out when the channel is closed. */
function fail(thrown: unknown): Promise<void> {
  const copier = thrown instanceof StoreInUse ? thrown.copier : undefined;
  const isPeers = copier?.pair === order.node.pair && copier.name !== order.node.name;
  const message: CopyMessage = { type: 'failed', error: partsOf(thrown), isPeers };
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, () => resolve());
  });
}

process.on('disconnect', () => process.exit());
try {
  await work();
  process.exit(0);
} catch (thrown) {
  await fail(thrown);
  process.exit(1);
}
