/** What `npm run bench -- price` is called with. */
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { UnderstudyError } from '../../src/base/errors.ts';
import { parsedOr, wholeWithin, within } from '../soak/options.ts';

export interface PriceArguments {
  readonly rounds: number;
  /** That each arrangement is measured for in a round. */
  readonly seconds: number;
  /** Another checkout, whose pair is measured by turns with this one's. */
  readonly against: string | undefined;
  readonly json: boolean;
}

const usage = 'npm run bench -- price [--rounds N] [--seconds N] [--against CHECKOUT] [--json]';

/** Throws `config` that says what is wrong. */
export function readArguments(args: readonly string[]): PriceArguments {
  const { values } = parsedOr(usage, () =>
    parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '15' },
        against: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    }),
  );
  const { against, json } = values;
  if (against !== undefined && !fs.existsSync(`${against}/src/cli/main.ts`)) {
    throw new UnderstudyError(
      'config',
      `--against must be a checkout of this project: current value is '${against}'`,
      { hint: 'make one with git worktree add, and run npm ci in it' },
    );
  }
  return {
    rounds: wholeWithin('rounds', values.rounds, 1000, 1),
    seconds: within('seconds', values.seconds, 2, 3600),
    against,
    json,
  };
}
