/**
 * Which fault comes when: a function of the seed. All faults come once, in an order by chance,
 * before one comes again, so that a short soak already has most of them.
 */
import { Prng } from '../../../sim/prng.ts';
import { type FaultName, type FaultPlace, kindOf } from './faults.ts';

export interface Planned {
  readonly name: FaultName;
  readonly place: FaultPlace;
  /** For faults that come in several sizes: which one, from 0 to 999. */
  readonly size: number;
}

/** Goes on for ever. `only`: faults that may come. */
export function* schedule(seed: number, only: readonly FaultName[]): Generator<Planned, never> {
  const prng = new Prng(seed);
  const all = only.flatMap((name) => kindOf(name).places.map((place) => ({ name, place })));
  for (;;) {
    const left = [...all];
    while (left.length > 0) {
      const [next] = left.splice(prng.below(left.length), 1);
      if (next !== undefined) yield { ...next, size: prng.below(1000) };
    }
  }
}

export const describePlanned = ({ name, place }: Planned): string =>
  place === 'both' ? name : `${name}, ${place}`;
