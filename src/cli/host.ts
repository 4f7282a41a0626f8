/** `understudy host`: all pairs of a directory, run on this host by one process. */
import { Command } from 'commander';
import type { HostOptions, RestartOptions, StatusOptions, StopOptions } from './verbs/host.ts';

const defaultDir = '/etc/understudy/pairs';

/** The command group, to be added to the program. */
export function hostCommand(): Command {
  const work = () => import('./verbs/host.ts');
  const host = places(new Command('host'))
    .description('run the nodes of this host of all pair files in a directory, in the foreground')
    .option('--name <node>', 'only nodes of this name; may be given again', append)
    .addHelpText(
      'after',
      '\nSIGTERM and Ctrl-C stop the nodes; killed, it leaves them running, and the next one takes\n' +
        'them over. See docs/host.md.',
    )
    .action(async (options: HostOptions) => (await work()).host(options));
  places(host.command('status'))
    .description('show each node of this host, and what is wrong')
    .option('--json', 'one JSON object')
    .action(async (_, verb: Command) => (await work()).hostStatus(all<StatusOptions>(verb)));
  places(host.command('restart'))
    .description('start nodes anew, one after the other; the machine is handed over')
    .argument('<pair[/node]>', 'a pair, or one node of it')
    .option('--force', 'also where no backup can go on with the machine, which then boots')
    .option('--json', 'one JSON object')
    .action(async (what: string, _, verb: Command) =>
      (await work()).restart(what, all<RestartOptions>(verb)),
    );
  places(host.command('stop'))
    .description('stop all nodes of this host, and then the host itself')
    .option('--keep-nodes', 'end the host only; the next one takes the nodes over')
    .action(async (_, verb: Command) => (await work()).stop(all<StopOptions>(verb)));
  return host;
}

function places(command: Command): Command {
  return command
    .option('--dir <directory>', 'of the pair files', defaultDir)
    .option('--run-dir <directory>', 'on a tmpfs (default: one for --dir below /dev/shm)');
}

/** What `host` and its verb both have is taken by `host`, wherever it stands. */
const all = <T extends object>(verb: Command): T => verb.optsWithGlobals<T>();

const append = (name: string, names: string[] = []): string[] => [...names, name];
