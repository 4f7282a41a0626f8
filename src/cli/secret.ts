/** `understudy secret`: makes the shared secret of a pair. */
import { Command } from 'commander';

export function secretCommand(): Command {
  return new Command('secret')
    .description('make a shared secret for the two nodes of a pair, in a new file of mode 0600')
    .argument('<file>', 'the file to make; it must not exist')
    .action(async (file: string) => (await import('./verbs/secret.ts')).makeSecret(file));
}
