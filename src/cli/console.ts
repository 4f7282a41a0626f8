/** `understudy console`: the guest's serial console, or another of its ports. Ctrl-] leaves it. */
import { Command } from 'commander';
import type { ConsoleOptions } from './verbs/console.ts';

export function consoleCommand(): Command {
  return new Command('console')
    .description('attach to the guest’s console; Ctrl-] detaches')
    .requiredOption('--pair <file>', 'the pair file')
    .requiredOption('--name <node>', 'the node that is primary')
    .option('--port <name>', 'another serial port, by its name in the VM file')
    .action(async (options: ConsoleOptions) =>
      (await import('./verbs/console.ts')).attach(options),
    );
}
