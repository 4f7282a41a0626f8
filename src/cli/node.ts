/** `understudy node`: one node of a pair, in the foreground. */
import { Command } from 'commander';
import type { NodeOptions } from './verbs/node.ts';

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
    .action(async (options: NodeOptions) => (await import('./verbs/node.ts')).node(options));
}
