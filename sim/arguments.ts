/** The command line of `npm run sim`. */
import { type GroupMutant, groupMutants } from './group/mutants.ts';
import { type Mutant, mutants } from './mutants.ts';

export interface SimArguments {
  /** How many seeds are run. */
  readonly seeds: number;
  /** The first one; `undefined`: the fixed ones, then as many that nobody has seen before. */
  readonly seed: number | undefined;
  /** Go on with fresh seeds for so long; 0: no. */
  readonly minutes: number;
  readonly json: boolean;
  readonly mutants: boolean;
  /** With one rule broken. */
  readonly broken: Mutant | undefined;
  /** Groups of pairs instead of pairs; `brokenGroup`: with one rule of theirs broken. */
  readonly group: boolean;
  readonly brokenGroup: GroupMutant | undefined;
  readonly fleet: boolean;
  /** The golden scenarios: play them, or write down how they go. */
  readonly scenarios: 'play' | 'rewrite' | undefined;
  readonly help: boolean;
}

export const usage = `npm run sim -- [options]        runs pairs through faults
npm run sim -- group            runs groups of three pairs, of which sets are taken
npm run sim -- fleet            thousands of pairs over simulated years
npm run sim -- scenarios        plays sim/scenarios/*.txt: each must go as told

  --seeds N      number of seeds, from 1 on (default 300: half of them fixed, half of them fresh)
  --seed S       the first seed; --seeds defaults to 1 then
  --minutes M    go on with fresh seeds for M minutes
  --break RULE   break a rule, one of those that --mutants lists: it must be caught
  --mutants      break every rule, and list the seed that caught each
  --rewrite      with scenarios: writes down what happens instead
  --json         with any of them: one JSON object on stdout, and nothing else there
  --help         this text

Ends with 0, with 1 if a checker fails, a mutant is not caught or a scenario goes otherwise than told,
with 2 if what was typed makes no sense.`;

/** Throws with one line for the person who typed it. */
export function parseArguments(words: readonly string[]): SimArguments {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    switch (word) {
      case '--json':
      case '--mutants':
      case '--help':
      case '--rewrite':
      case 'fleet':
      case 'group':
      case 'scenarios':
        flags.add(word);
        break;
      case '--seeds':
      case '--seed':
      case '--minutes':
      case '--break': {
        const value = rest.shift();
        if (value === undefined || value.startsWith('--')) throw new Error(`${word} needs a value`);
        values.set(word, value);
        break;
      }
      default:
        throw new Error(`unknown option '${word}'`);
    }
  }
  const whole = (name: string, least: number): number | undefined => {
    const text = values.get(name);
    if (text === undefined || (/^\d{1,10}$/.test(text) && Number(text) >= least)) {
      return text === undefined ? undefined : Number(text);
    }
    throw new Error(`${name} must be a whole number from ${least} on: current value is ${text}`);
  };
  const minutes = values.get('--minutes');
  if (minutes !== undefined && !(Number(minutes) > 0)) {
    throw new Error(`--minutes must be a number above 0: current value is ${minutes}`);
  }
  const rule = values.get('--break');
  const seed = whole('--seed', 0);
  if (flags.has('--rewrite') && !flags.has('scenarios')) {
    throw new Error('--rewrite is for scenarios: npm run sim -- scenarios --rewrite');
  }
  return {
    seed,
    seeds: whole('--seeds', 1) ?? (seed === undefined ? 300 : 1),
    minutes: Number(minutes ?? 0),
    json: flags.has('--json'),
    mutants: flags.has('--mutants'),
    ...brokenBy(rule, flags.has('group')),
    group: flags.has('group'),
    fleet: flags.has('fleet'),
    scenarios: !flags.has('scenarios') ? undefined : flags.has('--rewrite') ? 'rewrite' : 'play',
    help: flags.has('--help'),
  };
}

function brokenBy(
  rule: string | undefined,
  isGroup: boolean,
): Pick<SimArguments, 'broken' | 'brokenGroup'> {
  const [broken, brokenGroup] = [undefined, undefined];
  if (rule === undefined) return { broken, brokenGroup };
  if (isGroup) return { broken, brokenGroup: named(groupMutants, rule) };
  return { broken: named(mutants, rule), brokenGroup };
}

function named<T extends { readonly rule: string }>(all: readonly T[], rule: string): T {
  const found = all.find((mutant) => mutant.rule === rule);
  if (found !== undefined) return found;
  const names = all.map((mutant) => mutant.rule).join(', ');
  throw new Error(`there is no rule '${rule}' to break; there are: ${names}`);
}
