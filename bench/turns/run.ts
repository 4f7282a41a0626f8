/** A whole benchmark by turns, from its command line to what it prints. */
import { openWorld } from '../../src/lab/open-world.ts';
import { Progress } from '../../src/text/progress.ts';
import { readArguments, type TurnArguments } from './arguments.ts';
import { byTurns, chosen, type Rounds, type Turn } from './by-turns.ts';

export interface TurnBenchmark<Name extends string, Found, Summary extends object> {
  /** As in `npm run bench -- NAME`. */
  readonly name: string;
  readonly turnsFor: (args: TurnArguments) => readonly Turn<Name, Found>[];
  /** Makes what all arrangements need. @default nothing */
  readonly prepare?: (progress: Progress) => void;
  /** A line for people, while it is measured. */
  readonly describe: (found: Found) => string;
  readonly summaryOf: (rounds: Rounds<Name, Found>) => Summary;
  readonly summaryText: (summary: Summary) => string;
}

/** With the arguments of this process. Throws `config` before anything is made. */
export async function runByTurns<Name extends string, Found, Summary extends object>(
  benchmark: TurnBenchmark<Name, Found, Summary>,
): Promise<void> {
  const { name, turnsFor, prepare, describe, summaryOf, summaryText } = benchmark;
  const args = readArguments(name, process.argv.slice(2));
  const turns = chosen(turnsFor(args), args.only);
  const progress = new Progress(process.stderr);
  prepare?.(progress);
  const world = await openWorld();
  try {
    const rounds = await byTurns(turns, args.rounds, { world, progress, describe });
    progress.end();
    const summary = summaryOf(rounds);
    if (args.json) process.stdout.write(`${JSON.stringify({ ...summary, rounds })}\n`);
    else process.stdout.write(summaryText(summary));
  } finally {
    progress.end();
    await world.close();
  }
}
