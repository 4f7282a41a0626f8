/** Arrangements that are measured by turns, so that what disturbs the machine disturbs them all. */
import { median } from '../../src/bench/report/stats.ts';
import type { World } from '../../src/lab/world.ts';
import type { Progress } from '../../src/text/progress.ts';
import { wrongOption } from '../soak/options.ts';

export interface Turn<Name extends string, Found> {
  readonly name: Name;
  /** For people. */
  readonly title: string;
  readonly measure: (world: World) => Promise<Found>;
}

/** What was found in each arrangement, round by round. */
export type Rounds<Name extends string, Found> = Partial<Record<Name, Found[]>>;

/** Those that were asked for; all when none was. Throws `config` for one that there is not. */
export function chosen<Name extends string, Found>(
  turns: readonly Turn<Name, Found>[],
  only: readonly string[],
): readonly Turn<Name, Found>[] {
  const names: readonly string[] = turns.map(({ name }) => name);
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw wrongOption('only', `one of ${names.join(', ')}`, unknown);
  return only.length === 0 ? turns : turns.filter(({ name }) => only.includes(name));
}

interface Surroundings<Found> {
  readonly world: World;
  readonly progress: Progress;
  /** A line for people. */
  readonly describe: (found: Found) => string;
}

/** None is always behind the same other one. */
export async function byTurns<Name extends string, Found>(
  turns: readonly Turn<Name, Found>[],
  rounds: number,
  { world, progress, describe }: Surroundings<Found>,
): Promise<Rounds<Name, Found>> {
  const all: Rounds<Name, Found> = {};
  for (let round = 0; round < rounds; round += 1) {
    const at = round % turns.length;
    for (const { name, title, measure } of [...turns.slice(at), ...turns.slice(0, at)]) {
      progress.status(`round ${round + 1} of ${rounds}: ${title}`);
      const found = await measure(world);
      all[name] = [...(all[name] ?? []), found];
      progress.event(`${title}: ${describe(found)}`);
    }
  }
  return all;
}

/** Of a figure of two arrangements, the one's by the other's: median, least and greatest. */
export type Ratio = readonly [median: number, least: number, most: number];

/** By rounds: what disturbed one round disturbed both. */
export function ratioOf<Found>(
  one: readonly Found[],
  other: readonly Found[],
  figure: (found: Found) => number,
): Ratio {
  const all = one.flatMap((found, round) => {
    const against = other[round];
    return against === undefined ? [] : [figure(found) / figure(against)];
  });
  return [median(all), Math.min(...all), Math.max(...all)];
}
