/** `understudy run`: a pair for a container image. */
import { Command, Option } from 'commander';
import { refusedRunOptions } from './run-refusals.ts';
import type { RunOptions } from './verbs/run.ts';

export function runImageCommand(): Command {
  const command = new Command('run')
    .description('make a pair that runs a container image as a machine of its own')
    .argument(
      '<image>',
      'a docker-archive, an OCI layout, or a root file system: a directory or a tar',
    )
    .argument('[command...]', "in the place of the image's own; behind --")
    .requiredOption('--as <name>', 'name of the pair, and of its machine')
    .requiredOption('--out <directory>', 'where its disks and its files go; must be empty')
    .option('--memory <size>', 'of the machine', '256MiB')
    .option('--disk-size <size>', "of its root disk (default: the image's, and 1 GiB)")
    .option('-e, --env <name=value>', 'a variable of the command, again for each one', add, [])
    .option('-u, --user <user>', "who runs it, as USER or USER:GROUP (default: the image's)")
    .option('-w, --workdir <directory>', "where it runs (default: the image's)")
    .option(
      '-v, --volume <name:/path[:size]>',
      'a disk of its own for a path, again for each one',
      add,
      [],
    )
    .option('--egress <egress>', 'where its network card leads', 'none')
    .option('--guest <directory>', 'kernel and drivers, as scripts/setup makes them')
    .option('--start', 'run node a in the foreground then')
    .option('--json', 'one JSON object when it is made')
    .addHelpText(
      'after',
      '\nWhat the command says is on the console, and so is its exit code when it ends; the machine\n' +
        'then switches itself off, and both nodes end. See docs/containers.md.',
    );
  for (const { flags } of refusedRunOptions) command.addOption(new Option(flags).hideHelp());
  return command.action(async (image: string, words: readonly string[], options: RunOptions) =>
    (await import('./verbs/run.ts')).runImage(image, words, options),
  );
}

const add = (value: string, before: readonly string[]): string[] => [...before, value];
