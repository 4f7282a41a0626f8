/** `understudy stop`: ends a node in good order. */
import { Command } from 'commander';
import type { StopOptions } from './verbs/stop.ts';

export function stopCommand(): Command {
  return new Command('stop')
    .description('end a node; if it is primary and protected, its backup takes over')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'which node to end')
    .action(async (options: StopOptions) => (await import('./verbs/stop.ts')).stop(options));
}
