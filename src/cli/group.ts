/** `understudy group`: states of several machines that belong together. */
import { Command, InvalidArgumentError } from 'commander';
import type {
  GroupOptions,
  RestartGroupOptions,
  RestoreGroupOptions,
  RunGroupOptions,
  VerifyGroupOptions,
} from './group-options.ts';

/** The command group, to be added to the program. */
export function groupCommand(): Command {
  const group = new Command('group').description('keep sets: states of several machines at once');
  const work = () => import('./verbs/group.ts');
  verb(group, 'run', 'take sets as the group file says, until it is stopped')
    .option('--every <time>', 'instead of `every` of the file, such as 10s')
    .action(async (options: RunGroupOptions) => (await work()).run(options));
  verb(group, 'take', 'take one set; every machine goes on, and stays protected').action(
    async (options: GroupOptions) => (await work()).take(options),
  );
  verb(group, 'ls', 'list sets, oldest first').action(async (options: GroupOptions) =>
    (await work()).list(options),
  );
  verb(group, 'show', 'all that is known about a set')
    .argument('<set>', 'its name')
    .action(async (set: string, options: GroupOptions) => (await work()).show(set, options));
  verb(group, 'verify', 'check that sets can be restored')
    .argument('[set]', 'one of them; otherwise all')
    .option('--deep', 'and read and check everything in the stores')
    .action(async (set: string | undefined, options: VerifyGroupOptions) =>
      (await work()).verify(set, options),
    );
  verb(group, 'restore', 'machines of a set again, which go on together')
    .argument('[set]', 'its name; otherwise the newest')
    .requiredOption('--out <dir>', 'directory for them, one for each member; new or empty')
    .requiredOption('--as <prefix>', 'the pairs are called PREFIX-MEMBER')
    .option('--egress <member=egress>', 'where a machine speaks; can be repeated', pairs, new Map())
    .option('--no-start', 'only prepare them')
    .action(async (set: string | undefined, options: RestoreGroupOptions) =>
      (await work()).restore(set, options),
    );
  verb(group, 'restart', 'after a loss of power: all members from the ends of their durable logs')
    .requiredOption('--out <dir>', 'directory for them, one for each member; new or empty')
    .option('--no-start', 'only bring them there')
    .action(async (options: RestartGroupOptions) => (await work()).restart(options));
  verb(group, 'rm', 'remove sets, and the snapshots that only they named')
    .argument('<sets...>', 'their names')
    .action(async (sets: string[], options: GroupOptions) => (await work()).remove(sets, options));
  return group;
}

function verb(group: Command, name: string, description: string): Command {
  return group
    .command(name)
    .description(description)
    .requiredOption('--group <file>', 'the group file')
    .option('--json', 'machine-readable');
}

function pairs(text: string, before: Map<string, string>): Map<string, string> {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('must be MEMBER=EGRESS, such as web=tap:vm0');
  }
  return new Map(before).set(name, value);
}
