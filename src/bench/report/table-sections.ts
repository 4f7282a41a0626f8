/** The measurements of the terminal's report, a section for each kind. */

import type { TextSection } from '../../text/text-table.ts';
import { formatCount, formatMs } from '../../text/units.ts';
import { arrangements, type BenchResults, jobs } from '../results.ts';
import { epochTable, formatInstructions, formatLength } from './epochs.ts';
import { formatByteRate, formatBytes, formatMemory, formatPercent, formatRatio } from './format.ts';
import {
  arrangementNames,
  arrangementShort,
  causeNames,
  diskName,
  jobNames,
  logName,
} from './names.ts';
import { jobTimes, median, noisySpread, slowdowns, summarize } from './stats.ts';
import { takeoverGroups, takeoverMs, takeoverSteps } from './takeovers.ts';

export const textSections = (results: BenchResults): readonly TextSection[] => [
  slowdownText(results),
  epochText(results),
  takeoverText(results),
  outputText(results),
  logText(results),
  replayText(results),
  lagText(results),
  cutText(results),
  resourceText(results),
];

function slowdownText({ jobRuns }: BenchResults): TextSection {
  const rows = jobs.flatMap((job) =>
    arrangements.flatMap((arrangement) => {
      const times = summarize(jobTimes(jobRuns, job, arrangement));
      if (times === undefined) return [];
      const ratio = summarize(slowdowns(jobRuns, job, arrangement, 'bare'));
      const against =
        ratio === undefined || arrangement === 'bare'
          ? ['', '']
          : [formatRatio(ratio.median), `${ratio.least.toFixed(2)}–${ratio.greatest.toFixed(2)}`];
      const name = `${jobNames[job]}, ${arrangementNames[arrangement]}`;
      return [[name, formatMs(times.median), formatPercent(times.spread), ...against]];
    }),
  );
  return {
    title: 'slowdown against plain TCG',
    columns: ['median', 'spread', 'slowdown', 'rounds'],
    rows,
    lines: noisyLines(jobRuns),
  };
}

function noisyLines(runs: BenchResults['jobRuns']): string[] {
  const names = jobs.flatMap((job) =>
    arrangements
      .filter((one) => (summarize(jobTimes(runs, job, one))?.spread ?? 0) > noisySpread)
      .map((one) => `${jobNames[job]}, ${arrangementNames[one]}`),
  );
  if (names.length === 0) return [];
  return [`noisy, rounds differ by more than ${formatPercent(noisySpread)}: ${names.join('; ')}`];
}

function epochText({ epochRuns }: BenchResults): TextSection {
  const { lengths, instructions, jobs: ofJobs } = epochTable(epochRuns);
  return {
    title: 'slowdown of a pair against epoch length',
    columns: ['instructions', ...ofJobs.map(({ job }) => jobNames[job])],
    rows: lengths.map((length, index) => [
      formatLength(length),
      formatInstructions(instructions[index] ?? 0),
      ...ofJobs.map(({ ratios }) => {
        const found = ratios[index] ?? [];
        return found.length === 0 ? '–' : formatRatio(median(found));
      }),
    ]),
  };
}

function takeoverText({ takeovers }: BenchResults): TextSection {
  const rows = takeoverGroups(takeovers).map(({ cause, memoryBytes, runs }) => {
    const { median: middle = 0, p99 = 0, greatest = 0 } = summarize(runs.map(takeoverMs)) ?? {};
    return [
      `${causeNames[cause]}, ${formatMemory(memoryBytes)}, ${runs.length} times`,
      ...[middle, p99, greatest].map(formatMs),
      ...takeoverSteps.map(({ of }) => formatMs(median(runs.map(of)))),
    ];
  });
  return {
    title: 'takeover to the first output, and medians of its steps',
    columns: ['p50', 'p99', 'most', ...takeoverSteps.map(({ name }) => name)],
    rows,
  };
}

function outputText({ holds, latencies }: BenchResults): TextSection {
  return {
    title: 'hold of outputs, and latency outside',
    columns: ['p50', 'p99', 'number'],
    rows: [
      ...holds.map(({ load, p50Ms, p99Ms, outputs }) => [
        `hold, ${jobNames[load]}`,
        formatMs(p50Ms),
        formatMs(p99Ms),
        formatCount(outputs),
      ]),
      ...latencies.map(({ what, arrangement, p50Ms, p99Ms, count }) => [
        `${what === 'http' ? 'HTTP' : what}, ${arrangementShort[arrangement]}`,
        formatMs(p50Ms),
        formatMs(p99Ms),
        formatCount(count),
      ]),
    ],
  };
}

function logText({ logs }: BenchResults): TextSection {
  return {
    title: 'log, and processors of the nodes',
    columns: ['on the wire', 'as written', 'primary', 'backup'],
    rows: logs
      .filter(({ seconds }) => seconds > 0)
      .map((run) => [
        logName(run),
        formatByteRate(run.wireBytes / run.seconds),
        formatByteRate(run.rawBytes / run.seconds),
        formatPercent(run.nodeCpuSeconds.primary / run.seconds),
        formatPercent(run.nodeCpuSeconds.backup / run.seconds),
      ]),
  };
}

function replayText({ replays }: BenchResults): TextSection {
  const rows = (['boot', ...jobs] as const).flatMap((during) => {
    const ratios = replays
      .filter((run) => run.during === during && run.replayMs > 0)
      .map(({ recordMs, replayMs }) => recordMs / replayMs);
    const speed = summarize(ratios);
    if (speed === undefined) return [];
    const range = `${speed.least.toFixed(2)}–${speed.greatest.toFixed(2)}`;
    const warning = speed.median < 1 ? 'cannot keep up' : '';
    return [[jobNames[during], formatRatio(speed.median), range, warning]];
  });
  return {
    title: 'replay speed, record = 1',
    columns: ['median', 'rounds', ''],
    rows,
  };
}

function lagText({ lags }: BenchResults): TextSection {
  return {
    title: 'lag of the backup',
    columns: ['p50', 'p99', 'samples'],
    rows: lags.map(({ during, p50Ms, p99Ms, samples }) => [
      jobNames[during],
      formatMs(p50Ms),
      formatMs(p99Ms),
      formatCount(samples),
    ]),
  };
}

function cutText({ cuts, seeds }: BenchResults): TextSection {
  const unequal = cuts.filter(({ equal }) => !equal).length;
  const part = (name: string, values: readonly number[]): string[][] => {
    const times = summarize(values);
    return times === undefined
      ? []
      : [[name, formatMs(times.median), formatMs(times.greatest), '']];
  };
  return {
    title: 'cuts and seeds',
    columns: ['median', 'most', 'sent'],
    rows: [
      ...part(
        'cut, pause of the guest',
        cuts.map(({ pauseMs }) => pauseMs),
      ),
      ...part(
        'cut, compare of RAM',
        cuts.map(({ ramMs }) => ramMs),
      ),
      ...part(
        'cut, to the verdict',
        cuts.map(({ compareMs }) => compareMs),
      ),
      ...seeds.map((run) => [
        `seed, ${formatMemory(run.memoryBytes)}, ${diskName(run.diskBytes)}`,
        formatMs(run.ms),
        '',
        formatBytes(run.sentBytes),
      ]),
    ],
    lines: cuts.length === 0 ? [] : [`${cuts.length} cuts compared, ${unequal} unequal`],
  };
}

function resourceText({ memory, throughput }: BenchResults): TextSection {
  return {
    title: 'memory and throughput',
    rows: [
      ...memory.map(({ role, rssBytes }) => [`memory of the ${role}, most`, formatBytes(rssBytes)]),
      ...throughput.map(({ part, input, bytesPerSecond }) => [
        `${part}, ${input}`,
        formatByteRate(bytesPerSecond),
      ]),
    ],
  };
}
