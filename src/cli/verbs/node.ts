/** One node of a pair, in the foreground. */
import { collectSeldom } from '../../host/heap.ts';
import { hostLimits } from '../../host/limits.ts';
import { raisePriority } from '../../host/priority.ts';
import { parentDeathSignalWorks } from '../../host/processes.ts';
import { StopSignals } from '../../host/stop-signals.ts';
import { openLog } from '../../node/logger.ts';
import type { UnderstudyNode as Node } from '../../node/node.ts';
import { loadPairConfig } from '../../node/pair-file/pair-config.ts';
import { PreparedMachine } from '../../restore/prepared.ts';
import { ownVersion } from '../own-version.ts';

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
  const { log, output } = openLog(name);
  let node: Node | undefined;
  let isStopped = false;
  const signals = new StopSignals({
    onStop: () => {
      isStopped = true;
      node?.stop();
    },
    onHangup: () => log.info({}, 'SIGHUP: nothing is read anew, and the node goes on'),
  });
  try {
    const config = loadPairConfig(pair, name);
    // A pair file that is wrong is told of before all of a node is loaded.
    const { UnderstudyNode } = await import('../../node/node.ts');
    node = await UnderstudyNode.create({
      ...{ config, log, startAnew, prepared },
      program: ownVersion(),
    });
    // Node prints them itself, and would wait for who reads them.
    process.removeAllListeners('warning');
    process.on('warning', ({ message }) => log.warn({ warning: message }, 'a warning of Node'));
    const { concerns } = node;
    output.onTrouble((why) =>
      concerns.tell('log', why && `its lines are not taken, and are dropped in the end: ${why}`),
    );
    // Asked now: a node that serves would stand still for it.
    parentDeathSignalWorks();
    // Not before it serves anyone: a start takes a second of a processor from the machines beside
    // it.
    if (!raisePriority())
      log.info({ need: 'CAP_SYS_NICE' }, 'the machines are served before this node');
    if (isStopped) node.stop();
    const outcome = await node.run();
    log.info({ outcome }, 'the node ends');
  } finally {
    await output.flush(hostLimits.outputFlushMs);
    signals.close();
  }
}
