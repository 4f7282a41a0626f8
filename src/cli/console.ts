/** `understudy console`: the guest's serial console. Ctrl-] leaves it. */
import { Command } from 'commander';
import type { ConsoleOptions } from './verbs/console.ts';

export function consoleCommand(): Command {
  return new Command('console')
    .description('attach to the guest’s console; Ctrl-] detaches')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'the node that is primary')
    .action(async (options: ConsoleOptions) =>
      (await import('./verbs/console.ts')).attach(options),
    );
}
