/** `understudy init`: sets a new pair up at its arbiter. */
import { Command } from 'commander';
import type { InitOptions } from './verbs/init.ts';

export function initCommand(): Command {
  return new Command('init')
    .description('set a new pair up at its arbiter: once, on one host, before its nodes start')
    .requiredOption('--pair <file>', 'the pair file')
    .option('--json', 'one JSON object')
    .action(async (options: InitOptions) => (await import('./verbs/init.ts')).init(options));
}
