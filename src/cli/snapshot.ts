/** `understudy snapshot`: keep a cut of a protected machine, and look after what was kept. */
import { Command } from 'commander';
import { withStore } from './store-option.ts';
import type { ShowOptions, SnapshotOptions, TakeOptions } from './verbs/snapshot.ts';

/** The command group, to be added to the program. */
export function snapshotCommand(): Command {
  const snapshot = new Command('snapshot').description('keep states of a protected machine');
  const work = () => import('./verbs/snapshot.ts');
  snapshot
    .command('take')
    .description('keep the machine as it is now; it stays protected')
    .requiredOption('--pair <file>', 'the pair file; one of its nodes must run on this host')
    .option('--label <text>', 'what it is; retention does not remove one with a label')
    .option('--safe', 'wait until it is in the store of `copyTo`, too')
    .option('--json', 'one JSON object')
    .action(async (options: TakeOptions) => (await work()).take(options));
  verb(snapshot, 'ls', 'list snapshots, oldest first')
    .option('--vm <name>', 'of this pair only')
    .action(async (options: SnapshotOptions) => (await work()).list(options));
  verb(snapshot, 'show', 'all that is known about a snapshot')
    .argument('<snapshot>', 'its id')
    .option('--devices', 'and the sections of its device state')
    .action(async (id: string, options: ShowOptions) => (await work()).show(id, options));
  verb(snapshot, 'dump', 'memory and registers as an ELF core file, for gdb, crash and drgn')
    .argument('<snapshot>', 'its id')
    .argument('<file>', 'that is not there yet')
    .action(async (id: string, file: string, options: SnapshotOptions) =>
      (await work()).dump(id, file, options),
    );
  verb(snapshot, 'rm', 'remove snapshots and give their room back, also while a node keeps more')
    .argument('<snapshots...>', 'their ids')
    .action(async (ids: string[], options: SnapshotOptions) => (await work()).remove(ids, options));
  verb(snapshot, 'verify', 'read and check everything in the store').action(
    async (options: SnapshotOptions) => (await work()).verify(options),
  );
  verb(snapshot, 'diff', 'where two snapshots of a machine differ')
    .argument('<older>', 'id of one')
    .argument('<newer>', 'id of the other')
    .action(async (older: string, newer: string, options: SnapshotOptions) =>
      (await work()).diff(older, newer, options),
    );
  return snapshot;
}

function verb(group: Command, name: string, description: string): Command {
  const command = group.command(name).description(description);
  return withStore(command).option('--json', 'machine-readable');
}
