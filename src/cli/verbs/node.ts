/** One node of a pair, in the foreground. */
import { collectSeldom } from '../../host/heap.ts';
import { raisePriority } from '../../host/priority.ts';
import { createLogger } from '../../node/logger.ts';
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';
import { PreparedMachine } from '../../restore/prepared.ts';

export interface NodeOptions {
  readonly pair: string;
  readonly name: string;
  readonly startAnew?: boolean;
  readonly from?: string;
}

/** As `runNode`, from what a person gave. */
export async function node({ pair, name, startAnew = false, from }: NodeOptions): Promise<void> {
  const prepared = from === undefined ? undefined : PreparedMachine.open(from);
  await runNode({ pair, name, startAnew, prepared });
}

/** Runs one node until it is stopped or the guest powers off. */
export async function runNode(options: {
  readonly pair: string;
  readonly name: string;
  readonly startAnew: boolean;
  readonly prepared: PreparedMachine | undefined;
}): Promise<void> {
  const { pair, name, startAnew, prepared } = options;
  // What QEMU and the storage daemon make, sockets and logs, is for this user alone, too.
  process.umask(0o077);
  collectSeldom();
  const config = loadPairConfig(pair, name);
  const log = createLogger(name);
  // A pair file that is wrong is told of before all of a node is loaded.
  const { UnderstudyNode } = await import('../../node/node.ts');
  const node = await UnderstudyNode.create({ config, log, startAnew, prepared });
  // Not before it serves anyone: a start takes a second of a processor from the machines beside it.
  if (!raisePriority())
    log.info({ need: 'CAP_SYS_NICE' }, 'the machines are served before this node');
  process.once('SIGTERM', () => node.stop());
  process.once('SIGINT', () => node.stop());
  const outcome = await node.run();
  log.info({ outcome }, 'the node ends');
}
