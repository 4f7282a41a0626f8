/** `understudy restore`: a machine as it was, running again. */
import { Command } from 'commander';
import { withInstant } from './instant-option.ts';
import { withStore } from './store-option.ts';
import type { RestoreOptions } from './verbs/restore.ts';

export function restoreCommand(): Command {
  const command = new Command('restore')
    .description('start a machine as it was at a snapshot, or at any instant that was kept')
    .argument('[snapshot]', 'its id; left out: the newest one, or the one before the instant')
    .requiredOption('--as <name>', 'name of the pair that it becomes')
    .requiredOption('--out <directory>', 'where its disks and its pair file go; must be empty')
    .option('--vm <name>', 'of the snapshots of this pair, when the store has several')
    .option('--egress <egress>', 'where its network cards lead', 'none')
    .option('--no-start', 'prepare it only')
    .option('--json', 'one JSON object before it starts');
  withStore(withInstant(command)).addHelpText(
    'after',
    '\nIt runs in the foreground, alone, as node a of a new pair: the pair file in --out has a node b,\n' +
      'which protects it when it is started. See docs/restore.md.',
  );
  return command.action(async (id: string | undefined, options: RestoreOptions) =>
    (await import('./verbs/restore.ts')).restore(id, options),
  );
}
