/** `understudy replay`: a machine's past, to look at. Nothing of it gets out. */
import { Command } from 'commander';
import { withInstant } from './instant-option.ts';
import { withStore } from './store-option.ts';
import type { ReplayOptions } from './verbs/replay.ts';

export function replayCommand(): Command {
  const command = new Command('replay')
    .description('execute the past of a machine again, up to an instant, and see what it did')
    .argument('[snapshot]', 'where to begin; left out: the last one before the instant')
    .option('--vm <name>', 'of the snapshots of this pair, when the store has several')
    .option('--console <file>', 'what it printed; - is standard output')
    .option('--pcap <file>', 'what its network cards sent and received')
    .option('--memory <file>', 'its memory at the instant, a raw image')
    .option('--gdb <socket>', 'let a debugger go on from there, on this unix socket, until Ctrl-C')
    .option('--json', 'one JSON object at the end');
  withStore(withInstant(command)).addHelpText(
    'after',
    '\nWithout an instant it goes on to the last one that was kept. See docs/restore.md.',
  );
  return command.action(async (id: string | undefined, options: ReplayOptions) =>
    (await import('./verbs/replay.ts')).replay(id, options),
  );
}
