/** `understudy import`: a pair for a disk image that something else made. */
import { Command } from 'commander';
import type { ImportOptions } from './verbs/import.ts';

export function importCommand(): Command {
  return new Command('import')
    .description('make a pair for a raw disk image; the image itself stays as it is')
    .argument('<disks...>', 'raw images of the disks, in the order in which the guest sees them')
    .requiredOption('--as <name>', 'name of the pair, and of its machine')
    .requiredOption('--out <directory>', 'where its disks and its files go; must be empty')
    .option('--vm <file>', 'a VM file that says all of the following, and what else there is')
    .option('--memory <size>', 'of the guest, such as 512MiB')
    .option('--kernel <file>', 'a Linux kernel to boot; left out: boot from the first disk')
    .option('--initrd <file>', 'its initial RAM disk')
    .option('--append <text>', 'its command line')
    .option('--nic <mac>', 'address of a network card, again for each one (default: one card)', add)
    .option('--no-nic', 'no network card')
    .option('--egress <egress>', 'where the first network card leads', 'none')
    .option('--json', 'one JSON object at the end')
    .addHelpText(
      'after',
      '\nNothing is started: what to type next is printed. The kernel and its initial RAM disk stay where\n' +
        'they are. See docs/operations.md.',
    )
    .action(async (disks: readonly string[], options: ImportOptions) =>
      (await import('./verbs/import.ts')).importDisks(disks, options),
    );
}

const add = (mac: string, before: readonly string[] | undefined): string[] => [
  ...(before ?? []),
  mac,
];
