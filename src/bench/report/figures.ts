/**
 * Every figure of a run by a name that another run has, too: what a comparison compares.
 *
 * A figure keeps its samples. Of a percentile that was measured inside there is one sample a run.
 */

import { arrangements, type BenchResults, jobs } from '../results.ts';
import { formatLength } from './epochs.ts';
import { formatMemory } from './format.ts';
import {
  arrangementNames,
  arrangementShort,
  causeNames,
  diskName,
  jobNames,
  logName,
} from './names.ts';
import { jobTimes, slowdowns } from './stats.ts';
import { takeoverGroups, takeoverMs, takeoverSteps } from './takeovers.ts';

export type FigureUnit = 'ratio' | 'ms' | 'bytes/s' | 'bytes' | 'share of a core';

export interface Figure {
  /** Unique in a run. */
  readonly name: string;
  readonly unit: FigureUnit;
  readonly better: 'less' | 'more';
  readonly samples: readonly number[];
}

/** Figures that were measured, each once. */
export function figuresOf(results: BenchResults): readonly Figure[] {
  const all = [
    ...jobFigures(results),
    ...epochFigures(results),
    ...takeoverFigures(results),
    ...outputFigures(results),
    ...logFigures(results),
    ...copyFigures(results),
    ...partFigures(results),
  ];
  return merged(all.filter(({ samples }) => samples.length > 0));
}

function jobFigures({ jobRuns, replays }: BenchResults): Figure[] {
  return [
    ...jobs.flatMap((job) =>
      arrangements.flatMap((arrangement): Figure[] => {
        const name = `${jobNames[job]}, ${arrangementNames[arrangement]}`;
        const times = less(name, 'ms', jobTimes(jobRuns, job, arrangement));
        if (arrangement === 'bare') return [times];
        const ratios = slowdowns(jobRuns, job, arrangement, 'bare');
        return [times, less(`${name}: slowdown`, 'ratio', ratios)];
      }),
    ),
    ...replays
      .filter(({ replayMs }) => replayMs > 0)
      .map(({ during, recordMs, replayMs }) =>
        more(`replay speed, ${jobNames[during]}`, 'ratio', [recordMs / replayMs]),
      ),
  ];
}

const epochFigures = ({ epochRuns }: BenchResults): Figure[] =>
  epochRuns
    .filter(({ bareMs }) => bareMs > 0)
    .map(({ epochMs, job, ms, bareMs }) =>
      less(`epoch ${formatLength(epochMs)}, ${jobNames[job]}: slowdown`, 'ratio', [ms / bareMs]),
    );

const takeoverFigures = ({ takeovers }: BenchResults): Figure[] =>
  takeoverGroups(takeovers).flatMap(({ cause, memoryBytes, runs }) => {
    const name = `takeover, ${causeNames[cause]}, ${formatMemory(memoryBytes)}`;
    return [
      less(name, 'ms', runs.map(takeoverMs)),
      ...takeoverSteps.map((step) => less(`${name}: ${step.name}`, 'ms', runs.map(step.of))),
    ];
  });

const outputFigures = ({ holds, latencies, lags }: BenchResults): Figure[] => [
  ...holds.flatMap((run) => percentiles(`hold, ${jobNames[run.load]}`, run)),
  ...latencies.flatMap((run) =>
    percentiles(`latency, ${run.what}, ${arrangementShort[run.arrangement]}`, run),
  ),
  ...lags.flatMap((run) => percentiles(`lag, ${jobNames[run.during]}`, run)),
];

const logFigures = ({ logs }: BenchResults): Figure[] =>
  logs
    .filter(({ seconds }) => seconds > 0)
    .flatMap((run) => {
      const { primary, backup } = run.nodeCpuSeconds;
      const name = logName(run);
      return [
        less(`log on the wire, ${name}`, 'bytes/s', [run.wireBytes / run.seconds]),
        less(`log as written, ${name}`, 'bytes/s', [run.rawBytes / run.seconds]),
        less(`both nodes, ${name}`, 'share of a core', [(primary + backup) / run.seconds]),
      ];
    });

const copyFigures = ({ cuts, seeds }: BenchResults): Figure[] => [
  less(
    'cut, pause of the guest',
    'ms',
    cuts.map(({ pauseMs }) => pauseMs),
  ),
  less(
    'cut, compare of RAM',
    'ms',
    cuts.map(({ ramMs }) => ramMs),
  ),
  less(
    'cut, to the verdict',
    'ms',
    cuts.map(({ compareMs }) => compareMs),
  ),
  ...seeds.flatMap((run) => {
    const name = `seed, ${formatMemory(run.memoryBytes)}, ${diskName(run.diskBytes)}`;
    return [
      less(`${name}: until protected`, 'ms', [run.ms]),
      less(`${name}: guest stood still`, 'ms', [run.stoppedMs]),
      less(`${name}: sent`, 'bytes', [run.sentBytes]),
    ];
  }),
];

const partFigures = ({ memory, throughput }: BenchResults): Figure[] => [
  ...memory.map(({ role, rssBytes }) => less(`memory of the ${role}`, 'bytes', [rssBytes])),
  ...throughput.map(({ part, input, bytesPerSecond }) =>
    more(`throughput, ${part}, ${input}`, 'bytes/s', [bytesPerSecond]),
  ),
];

const percentiles = (
  name: string,
  { p50Ms, p99Ms }: { readonly p50Ms: number; readonly p99Ms: number },
): Figure[] => [less(`${name}: p50`, 'ms', [p50Ms]), less(`${name}: p99`, 'ms', [p99Ms])];

const less = (name: string, unit: FigureUnit, samples: readonly number[]): Figure => ({
  name,
  unit,
  better: 'less',
  samples,
});

const more = (name: string, unit: FigureUnit, samples: readonly number[]): Figure => ({
  ...less(name, unit, samples),
  better: 'more',
});

/** Samples of one name together, in the order of the first of each. */
function merged(figures: readonly Figure[]): readonly Figure[] {
  const byName = new Map<string, Figure>();
  for (const figure of figures) {
    const samples = [...(byName.get(figure.name)?.samples ?? []), ...figure.samples];
    byName.set(figure.name, { ...figure, samples });
  }
  return [...byName.values()];
}
