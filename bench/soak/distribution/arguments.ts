/** What `npm run soak -- distribution` is called with. */
import { parseArgs } from 'node:util';
import { parsedOr, wholeWithin, within, wrongOption } from '../options.ts';
import { type PhaseName, phaseNames } from './phases.ts';

export interface SoakArguments {
  readonly minutes: number;
  /** Of the order of phases. */
  readonly seed: number;
  /** Between two compares. */
  readonly everyMs: number;
  /** From a machine that is protected to the kill of its primary. */
  readonly roundMs: number;
  readonly memoryMebibytes: number;
  /** What the guest may be given to do. */
  readonly only: readonly PhaseName[];
  /** Whether its boot without protection and with it is timed first. */
  readonly timesBoot: boolean;
  readonly json: boolean;
}

const usage =
  'npm run soak -- distribution [--minutes N] [--every SECONDS] [--round SECONDS] [--memory MIB] ' +
  '[--seed N] [--only PHASE]... [--no-boot] [--json]';
const minutesMax = 7 * 24 * 60;

/** Throws `config` that says what is wrong. `freshSeed`: used when none is given. */
export function readArguments(args: readonly string[], freshSeed: number): SoakArguments {
  const { values } = parsedOr(usage, () =>
    parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string', default: '60' },
        every: { type: 'string', default: '3' },
        round: { type: 'string', default: '50' },
        memory: { type: 'string', default: '512' },
        seed: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
        'no-boot': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    }),
  );
  return {
    minutes: within('minutes', values.minutes, 0.5, minutesMax),
    seed: values.seed === undefined ? freshSeed : wholeWithin('seed', values.seed, 2 ** 32 - 1),
    everyMs: within('every', values.every, 0.2, 3600) * 1000,
    roundMs: within('round', values.round, 1, 3600) * 1000,
    memoryMebibytes: memoryOf(values.memory),
    only: phasesOf(values.only),
    timesBoot: !values['no-boot'],
    json: values.json,
  };
}

function memoryOf(text: string): number {
  const mebibytes = wholeWithin('memory', text, 64 * 1024);
  if (mebibytes >= 192 && mebibytes % 2 === 0) return mebibytes;
  throw wrongOption('memory', 'an even number of MiB from 192 on', text);
}

function phasesOf(names: readonly string[]): readonly PhaseName[] {
  if (names.length === 0) return phaseNames;
  return names.map((text) => {
    const name = phaseNames.find((one) => one === text);
    if (name === undefined) throw wrongOption('only', `one of ${phaseNames.join(', ')}`, text);
    return name;
  });
}
