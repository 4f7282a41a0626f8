/** Arrangements that are measured by turns, so that what disturbs the machine disturbs them all. */
import { median } from '../../src/bench/report/stats.ts';
import type { Progress } from '../../src/text/progress.ts';

export interface Turn<Name extends string, Found> {
  readonly name: Name;
  /** For people. */
  readonly title: string;
  readonly measure: () => Promise<Found>;
}

/** What was found in each arrangement, round by round. */
export type Rounds<Name extends string, Found> = Partial<Record<Name, Found[]>>;

/** Those that were asked for; all when none was. */
export const chosen = <Name extends string, Found>(
  turns: readonly Turn<Name, Found>[],
  only: readonly string[],
): readonly Turn<Name, Found>[] =>
  only.length === 0 ? turns : turns.filter(({ name }) => only.includes(name));

/** None is always behind the same other one. `describe`: a line for people. */
export async function byTurns<Name extends string, Found>(
  turns: readonly Turn<Name, Found>[],
  rounds: number,
  progress: Progress,
  describe: (found: Found) => string,
): Promise<Rounds<Name, Found>> {
  const all: Rounds<Name, Found> = {};
  for (let round = 0; round < rounds; round += 1) {
    const at = round % turns.length;
    for (const { name, title, measure } of [...turns.slice(at), ...turns.slice(0, at)]) {
      progress.status(`round ${round + 1} of ${rounds}: ${title}`);
      const found = await measure();
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
