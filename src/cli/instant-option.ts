/** Instants on the command line: a time, an epoch, an icount, or all that was kept. */
import { type Command, InvalidArgumentError } from 'commander';
import { UnderstudyError } from '../base/errors.ts';
import type { Instant } from '../restore/instant.ts';

export interface InstantOptions {
  readonly at?: number;
  readonly epoch?: number;
  readonly icount?: number;
  readonly end?: boolean;
}

/** Adds the options to a verb. */
export function withInstant(command: Command): Command {
  return command
    .option('--at <time>', 'the instant, such as 2026-03-01T12:00:00Z', time)
    .option('--epoch <number>', 'the instant at the end of this epoch', whole)
    .option('--icount <number>', 'the instant after so many instructions', whole)
    .option('--end', 'the last instant that was kept');
}

/** `undefined` when none is given. Throws `config` when there are several. */
export function instantOf({ at, epoch, icount, end }: InstantOptions): Instant | undefined {
  const given: Instant[] = [
    ...(at === undefined ? [] : [{ kind: 'time', ms: at } as const]),
    ...(epoch === undefined ? [] : [{ kind: 'epoch', epoch } as const]),
    ...(icount === undefined ? [] : [{ kind: 'icount', icount } as const]),
    ...(end === true ? [{ kind: 'end' } as const] : []),
  ];
  if (given.length <= 1) return given[0];
  throw new UnderstudyError('config', 'Give one of --at, --epoch, --icount and --end');
}

function time(text: string): number {
  const ms = Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError('It must be a time such as 2026-03-01T12:00:00.250Z.');
}

function whole(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be a whole number.');
}
