/**
 * Two runs, figure by figure.
 *
 * The rule. A figure is better or worse when its median changed by more than `changeMin` and the
 * intervals of the two runs do not overlap; otherwise it is within noise. The interval of a run is
 * its middle half from eight samples on, all its samples from three on; of fewer samples the spread
 * is not known, and `assumedMargin` on either side of the median is taken for it.
 */

import type { BenchResults } from '../results.ts';
import { type Figure, figuresOf } from './figures.ts';
import { type FigureUnit, formatMemory } from './format.ts';
import { summarize } from './stats.ts';

const changeMin = 0.05;

/** A guess on the careful side: single figures have to differ by a third to be told apart. */
const assumedMargin = 0.15;

const spreadFrom = 3;
const middleHalfFrom = 8;

export type ChangeVerdict = 'better' | 'worse' | 'within noise' | 'not comparable';

export interface FigureChange {
  readonly name: string;
  readonly unit: FigureUnit;
  /** Medians; `null` when the run did not measure it. */
  readonly before: number | null;
  readonly after: number | null;
  /** Share of `before`, negative when it became less; `null` when it cannot be said. */
  readonly change: number | null;
  readonly verdict: ChangeVerdict;
}

export interface Comparison {
  /** What differs between the runs besides what is compared. */
  readonly warnings: readonly string[];
  readonly figures: readonly FigureChange[];
}

/** From `before` to `after`. The object is the JSON of `understudy bench compare --json`, too. */
export function compareResults(before: BenchResults, after: BenchResults): Comparison {
  const olds = new Map(figuresOf(before).map((figure) => [figure.name, figure]));
  const news = new Map(figuresOf(after).map((figure) => [figure.name, figure]));
  const names = [...new Set([...olds.keys(), ...news.keys()])];
  return {
    warnings: warningsOf(before, after),
    figures: names.map((name) => changeOf(name, olds.get(name), news.get(name))),
  };
}

function changeOf(name: string, old: Figure | undefined, now: Figure | undefined): FigureChange {
  const before = old === undefined ? null : medianOf(old);
  const after = now === undefined ? null : medianOf(now);
  const unit = (now ?? old)?.unit ?? 'ms';
  const same = { name, unit, before, after };
  if (old === undefined || now === undefined || before === null || after === null) {
    return { ...same, change: null, verdict: 'not comparable' };
  }
  if (before === 0) {
    const verdict = after === 0 ? 'within noise' : 'not comparable';
    return { ...same, change: after === 0 ? 0 : null, verdict };
  }
  const change = (after - before) / before;
  return { ...same, change, verdict: verdictOf(change, old, now) };
}

function verdictOf(change: number, old: Figure, now: Figure): ChangeVerdict {
  const [oldLeast, oldMost] = intervalOf(old);
  const [nowLeast, nowMost] = intervalOf(now);
  const overlap = oldLeast <= nowMost && nowLeast <= oldMost;
  if (overlap || Math.abs(change) <= changeMin) return 'within noise';
  return change < 0 === (now.better === 'less') ? 'better' : 'worse';
}

/** Where a run's figure lies, as the rule above has it. */
export function intervalOf({ samples }: Figure): readonly [least: number, greatest: number] {
  const all = summarize(samples);
  if (all === undefined) return [Number.NaN, Number.NaN];
  if (all.count >= middleHalfFrom) return [all.p25, all.p75];
  if (all.count >= spreadFrom) return [all.least, all.greatest];
  return [all.median * (1 - assumedMargin), all.median * (1 + assumedMargin)];
}

const medianOf = ({ samples }: Figure): number | null => summarize(samples)?.median ?? null;

function warningsOf(before: BenchResults, after: BenchResults): string[] {
  const now = new Map(factsOf(after));
  return factsOf(before).flatMap(([what, old]) =>
    old === now.get(what) ? [] : [`${what} differs: ${old}, then ${now.get(what)}`],
  );
}

/** What a run was made on and with. */
export function factsOf(results: BenchResults): readonly (readonly [what: string, is: string])[] {
  const { machine, versions, mode, guestMemoryBytes } = results;
  const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
  return [
    ['machine', `${machine.cpu}, ${machine.cores} cores`],
    ['memory of the machine', formatMemory(machine.memoryBytes)],
    ['kernel of the machine', machine.kernel],
    ['KVM', yesNo(machine.hasKvm)],
    ['real-time priority', yesNo(machine.realTime)],
    ['mode', mode],
    ['memory of the guest', formatMemory(guestMemoryBytes)],
    ['kernel of the guest', versions.guestKernel],
    ['QEMU', versions.qemu],
    ['Node.js', versions.node],
    ['Understudy', versions.understudy],
  ];
}
