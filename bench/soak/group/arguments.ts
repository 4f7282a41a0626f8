/** What `npm run soak -- group` is called with. */
import { parseArgs } from 'node:util';
import { parsedOr, wholeWithin } from '../options.ts';

export interface SoakArguments {
  /** Sets that are taken, and as many without a line. */
  readonly sets: number;
  readonly members: number;
  /** How many of the kills are done, in their order. */
  readonly kills: number;
  readonly json: boolean;
}

const setsMax = 10_000;
const membersMax = 6;

/** At each of five steps the coordinator, and each member's primary. */
const killsMax = (members: number): number => 5 * (members + 1);

export const usage =
  'npm run soak -- group [--sets N] [--members N] [--kills N] [--json]\n' +
  `  --sets N     sets to take, and as many without a line: 1 to ${setsMax}, 20 if not given\n` +
  `  --members N  machines of the group: 2 to ${membersMax}, 3 if not given\n` +
  '  --kills N    kills of the coordinator and of primaries, in their order: up to 5 for each\n' +
  '               member and 5; all if not given\n' +
  '  --json       the last line is one JSON object';

/** `undefined`: help is wanted. Throws `config` that says what is wrong. */
export function readArguments(args: readonly string[]): SoakArguments | undefined {
  const values = parsedOr(
    usage,
    () =>
      parseArgs({
        args: [...args],
        options: {
          sets: { type: 'string', default: '20' },
          members: { type: 'string', default: '3' },
          kills: { type: 'string' },
          json: { type: 'boolean', default: false },
          help: { type: 'boolean', short: 'h', default: false },
        },
      }).values,
  );
  if (values.help) return undefined;
  const members = wholeWithin('members', values.members, membersMax, 2);
  const most = killsMax(members);
  return {
    sets: wholeWithin('sets', values.sets, setsMax, 1),
    members,
    kills: values.kills === undefined ? most : wholeWithin('kills', values.kills, most),
    json: values.json,
  };
}
