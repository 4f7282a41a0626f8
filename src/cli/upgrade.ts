/** `understudy upgrade`: the guest goes on with the newer QEMU of the backup. */
import { Command } from 'commander';
import type { UpgradeOptions } from './verbs/upgrade.ts';

export function upgradeCommand(): Command {
  return new Command('upgrade')
    .description('hand the machine over to a backup that takes it over with a newer QEMU')
    .requiredOption('--pair <file>', 'the pair file')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      `
Before: in the VM file of the backup, set qemu to the newer program and upgradeFrom to
the older one, and start that node again. Afterwards: give the other node the newer one
in the same way. Step by step: docs/qemu-versions.md`,
    )
    .action(async (options: UpgradeOptions) =>
      (await import('./verbs/upgrade.ts')).upgrade(options),
    );
}
