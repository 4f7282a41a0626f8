/** `understudy drill`: a takeover on purpose, to see that it works. */
import { Command } from 'commander';
import type { DrillOptions } from './verbs/drill.ts';

export function drillCommand(): Command {
  return new Command('drill')
    .description('hand the machine over to the backup, to see that a takeover works')
    .requiredOption('--pair <file>', 'the pair file')
    .option('--kill', 'kill the primary node and its QEMU instead of asking it')
    .option('--json', 'one JSON object')
    .action(async (options: DrillOptions) => (await import('./verbs/drill.ts')).drill(options));
}
