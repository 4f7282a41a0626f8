/** What `npm run soak -- surroundings` is called with. */
import { parseArgs } from 'node:util';
import { parsedOr, wholeWithin, within, wrongOption } from '../options.ts';
import { type FaultName, faultKinds } from './faults.ts';

export interface SoakArguments {
  readonly minutes: number;
  /** Of the schedule: the same one brings the same faults in the same order. */
  readonly seed: number;
  /** Between the beginnings of two faults. */
  readonly everyMs: number;
  /** Both nodes at idle priority, beside programs that compute and write. */
  readonly isStarved: boolean;
  /** Faults that may come. */
  readonly only: readonly FaultName[];
  readonly json: boolean;
}

const minutesMax = 7 * 24 * 60;

/** Throws `config` that says what is wrong. `freshSeed`: used when none is given. */
export function readArguments(args: readonly string[], freshSeed: number): SoakArguments {
  const values = parsed(args);
  return {
    minutes: within('minutes', values.minutes, 0.5, minutesMax),
    seed: values.seed === undefined ? freshSeed : wholeWithin('seed', values.seed, 2 ** 32 - 1),
    everyMs: within('every', values.every, 10, 3600) * 1000,
    isStarved: values.starved,
    only: faultsOf(values.only),
    json: values.json,
  };
}

const usage =
  'npm run soak -- surroundings [--minutes N] [--starved] [--seed N] [--every SECONDS] ' +
  '[--only FAULT]... [--json]';

const parsed = (args: readonly string[]) =>
  parsedOr(
    usage,
    () =>
      parseArgs({
        args: [...args],
        options: {
          minutes: { type: 'string', default: '10' },
          seed: { type: 'string' },
          every: { type: 'string', default: '30' },
          starved: { type: 'boolean', default: false },
          only: { type: 'string', multiple: true, default: [] },
          json: { type: 'boolean', default: false },
        },
      }).values,
  );

function faultsOf(names: readonly string[]): FaultName[] {
  const known = faultKinds.map(({ name }) => name);
  if (names.length === 0) return known;
  return names.map((text) => {
    const name = known.find((one) => one === text);
    if (name === undefined) throw wrongOption('only', `one of ${known.join(', ')}`, text);
    return name;
  });
}
