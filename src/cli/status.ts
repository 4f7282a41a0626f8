/** `understudy status`: what the nodes of this host are doing, once or as it happens. */
import { Command } from 'commander';
import type { StatusOptions } from './verbs/status.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('show the role and state of the nodes on this host')
    .requiredOption('--pair <file>', 'the pair file')
    .option('--name <node>', 'one node only')
    .option('--watch', 'go on and print what happens (needs --name)')
    .option('--json', 'one JSON object a node, or an event')
    .action(async (options: StatusOptions) => (await import('./verbs/status.ts')).status(options));
}
