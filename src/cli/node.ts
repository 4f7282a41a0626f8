/** `understudy node`: one node of a pair, in the foreground. */
import { Command } from 'commander';
import { createLogger } from '../node/logger.ts';
import { UnderstudyNode } from '../node/node.ts';
import { loadPairConfig } from '../node/pair-config.ts';
import { raisePriority } from '../node/priority.ts';
import { PreparedMachine } from '../node/snapshots/prepared.ts';

interface Options {
  readonly pair: string;
  readonly name: string;
  readonly startAnew?: boolean;
  readonly from?: string;
}

export function nodeCommand(): Command {
  return new Command('node')
    .description('run one node of a pair; the arbiter decides whether it is primary or backup')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'which of the two nodes this is')
    .option('--start-anew', 'boot the machine even if the other node held it: you know it is gone')
    .option(
      '--from <directory>',
      'go on from what `understudy restore` prepared, instead of booting',
    )
    .action(async ({ pair, name, startAnew = false, from }: Options) => {
      const prepared = from === undefined ? undefined : PreparedMachine.open(from);
      await runNode({ pair, name, startAnew, prepared });
    });
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
  const isServedFirst = raisePriority();
  const config = loadPairConfig(pair, name);
  const log = createLogger(name);
  if (!isServedFirst)
    log.info({ need: 'CAP_SYS_NICE' }, 'the machines are served before this node');
  const node = await UnderstudyNode.create({ config, log, startAnew, prepared });
  process.once('SIGTERM', () => node.stop());
  process.once('SIGINT', () => node.stop());
  const outcome = await node.run();
  log.info({ outcome }, 'the node ends');
}
