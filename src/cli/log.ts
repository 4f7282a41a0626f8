/** `understudy log`: look into an event log. */
import { Command, Option } from 'commander';
import { UnderstudyError } from '../base/errors.ts';
import { qemuReleases } from '../base/qemu-releases.ts';
import { type LogPosition, logPosition } from '../base/units.ts';
import type { DumpOptions, LogOptions } from './verbs/log.ts';

/** The command group, to be added to the program. */
export function logCommand(): Command {
  const log = new Command('log').description('look into an event log');
  const verb = (name: string, description: string) =>
    log
      .command(name)
      .description(description)
      .argument('<file>', 'log recorded by QEMU, or stripped by Understudy')
      .addOption(
        new Option('--qemu <release>', 'QEMU release that recorded it')
          .choices(qemuReleases)
          .default('7.2'),
      )
      .option('--stripped', 'markers in the file are cut to their head')
      .option('--json', 'machine-readable');
  verb('dump', 'print events, one a line')
    .option('--from <position>', 'skip events that start before this position', position)
    .option('--to <position>', 'stop at the first event that starts here or later', position)
    .option('--kind <kind>', 'only this kind: "clock" or "clock:host", or "marker"')
    .action(async (file: string, options: DumpOptions) =>
      (await import('./verbs/log.ts')).dump(file, options),
    );
  verb('stat', 'count events and bytes by kind').action(async (file: string, options: LogOptions) =>
    (await import('./verbs/log.ts')).stat(file, options),
  );
  return log;
}

function position(text: string): LogPosition {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new UnderstudyError('config', `a position must be a whole number: "${text}" is none`);
  }
  return logPosition(value);
}
