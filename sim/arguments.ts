/** The command line of `npm run sim`. */
export interface SimArguments {
  /** How many seeds are run. */
  readonly seeds: number;
  /** The first one; `undefined`: the fixed ones, then as many that nobody has seen before. */
  readonly seed: number | undefined;
  /** Go on with fresh seeds for so long; 0: no. */
  readonly minutes: number;
  readonly json: boolean;
  readonly mutants: boolean;
  /** The rule to break. */
  readonly rule: string | undefined;
  readonly fleet: boolean;
  /** The golden scenarios: play them, or write down how they go. */
  readonly scenarios: 'play' | 'rewrite' | undefined;
  readonly help: boolean;
}

export const usage = `npm run sim -- [options]          runs pairs through faults; ends with 1 if a checker fails
npm run sim -- fleet [--json]     thousands of pairs over simulated years
npm run sim -- scenarios [--rewrite]   plays sim/scenarios/*.txt; --rewrite writes down what happens

  --seeds N      number of seeds (default 300: half of them fixed, half of them fresh)
  --seed S       the first seed; --seeds defaults to 1 then
  --minutes M    go on with fresh seeds for M minutes
  --break RULE   break a rule: it must be caught
  --mutants      break every rule, and list the seed that caught each
  --json         end with one JSON object`;

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
      case 'scenarios':
        flags.add(word);
        break;
      case '--seeds':
      case '--seed':
      case '--minutes':
      case '--break': {
        const value = rest.shift();
        if (value === undefined) throw new Error(`${word} needs a value`);
        values.set(word, value);
        break;
      }
      default:
        throw new Error(`unknown option '${word}'`);
    }
  }
  const number = (name: string): number | undefined => {
    const text = values.get(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!(value >= 0)) throw new Error(`${name} must be a number: current value is ${text}`);
    return value;
  };
  const seed = number('--seed');
  return {
    seed,
    seeds: number('--seeds') ?? (seed === undefined ? 300 : 1),
    minutes: number('--minutes') ?? 0,
    json: flags.has('--json'),
    mutants: flags.has('--mutants'),
    rule: values.get('--break'),
    fleet: flags.has('fleet'),
    scenarios: !flags.has('scenarios') ? undefined : flags.has('--rewrite') ? 'rewrite' : 'play',
    help: flags.has('--help'),
  };
}
