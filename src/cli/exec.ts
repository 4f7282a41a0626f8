/** `understudy exec`: a command in a machine of its own. */
import { Command, CommanderError } from 'commander';
import { exitCodes } from './exit.ts';
import type { ExecOptions } from './verbs/exec.ts';

export function execCommand(): Command {
  return new ExecCommand('exec')
    .description('run a command in a machine of its own, and end as the command does')
    .argument('<command...>', 'with its arguments; behind --')
    .option(
      '--root <image>',
      'its root: a directory, or an image as `run` takes it; needs root (default: busybox and perl, in memory)',
    )
    .option('--memory <size>', 'of the machine', '256MiB')
    .option('--every <time>', 'how often the machine is kept, with more than one try', '5s')
    .option('--tries <count>', 'how often it may run: behind a failure from its newest state', '3')
    .option('--in <file>', 'its standard input (default: that of this command, when no terminal)')
    .option('-e, --env <name=value>', 'a variable of the command, again for each one', add, [])
    .option('-u, --user <user>', "who runs it, as USER or USER:GROUP (default: the image's)")
    .option('-w, --workdir <directory>', "where it runs (default: the image's)")
    .option('--guest <directory>', 'kernel and drivers, as scripts/setup makes them')
    .option('--keep <directory>', 'keep the machine, and what its nodes said, there; must be empty')
    .option('--json', 'at the end one JSON object on standard error')
    .addHelpText(
      'after',
      '\nStandard output, standard error, signals and the exit code are those of the command. With more\n' +
        'than one try its output is printed when the machine is kept, or the command ends; --tries 1\n' +
        'prints at once. It ends with 125 when the machine fails. See docs/exec.md.',
    )
    .action(async (words: readonly string[], options: ExecOptions) =>
      (await import('./verbs/exec.ts')).exec(words, options),
    );
}

const add = (value: string, before: readonly string[]): string[] => [...before, value];

/** What is wrong with its own options is told apart from what its command ends with. */
class ExecCommand extends Command {
  override exitOverride(): this {
    return super.exitOverride(({ exitCode, code, message }) => {
      throw new CommanderError(exitCode === 0 ? exitCodes.ok : exitCodes.notTheirs, code, message);
    });
  }
}
