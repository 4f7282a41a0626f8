/** `understudy node`: one node of a pair, in the foreground. */
import { Command } from 'commander';
import { createLogger } from '../node/logger.ts';
import { UnderstudyNode } from '../node/node.ts';
import { loadPairConfig } from '../node/pair-config.ts';

interface Options {
  readonly pair: string;
  readonly name: string;
  readonly startAnew?: boolean;
}

export function nodeCommand(): Command {
  return new Command('node')
    .description('run one node of a pair; the arbiter decides whether it is primary or backup')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'which of the two nodes this is')
    .option('--start-anew', 'boot the machine even if the other node held it: you know it is gone')
    .action(async (options: Options) => {
      // What QEMU and the storage daemon make, sockets and logs, is for this user alone, too.
      process.umask(0o077);
      const config = loadPairConfig(options.pair, options.name);
      const log = createLogger(options.name);
      const node = await UnderstudyNode.create({
        config,
        log,
        startAnew: options.startAnew === true,
      });
      process.once('SIGTERM', () => node.stop());
      process.once('SIGINT', () => node.stop());
      const outcome = await node.run();
      log.info({ outcome }, 'the node ends');
    });
}
