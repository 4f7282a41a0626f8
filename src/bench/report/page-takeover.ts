/** The page's section on takeovers: their steps, their causes, the guest's memory, the lag. */
import { formatMs } from '../../text/units.ts';
import type { BenchResults, TakeoverRun } from '../results.ts';
import { barChart } from './chart-bars.ts';
import { lineChart } from './chart-lines.ts';
import { legend } from './chart-parts.ts';
import { stackChart } from './chart-stack.ts';
import { formatMemory } from './format.ts';
import { takeoverGoal } from './goals.ts';
import { cards, figuresBelow, named, numeric, type Section } from './html-parts.ts';
import { causeNames } from './names.ts';
import { namesWidth } from './percentiles.ts';
import { median, summarize } from './stats.ts';
import { linearScale } from './svg.ts';
import { type TakeoverGroup, takeoverGroups, takeoverMs, takeoverSteps } from './takeovers.ts';

const stepColours = ['c1', 'c2', 'c3', 'c4'];
const colourOf = (index: number): string => stepColours[index] ?? 'c7';

export function takeoverSection({ takeovers, guestMemoryBytes }: BenchResults): Section {
  const kills = takeovers.filter(
    (run) => run.cause === 'kill' && run.memoryBytes === guestMemoryBytes,
  );
  const groups = takeoverGroups(takeovers);
  return {
    id: 'takeover',
    title: 'How long a takeover takes',
    why:
      'From the kill of the primary, or the command of a drill, to the first output that the ' +
      'outside gets from its successor.',
    body: cards(
      {
        title: `Every kill of the ${formatMemory(guestMemoryBytes)} guest, by its steps`,
        body: stepChart(kills),
      },
      { title: 'By cause and memory', body: groupChart(groups) },
      {
        title: 'Against the lag of the backup',
        why: 'What the backup had not executed yet has to be executed first.',
        body: lagChart(groups),
      },
      {
        title: 'Against the memory of the guest',
        why: 'It should hardly matter: a guest of 2 GiB may take 20 % longer than the usual one.',
        body: memoryChart(groups),
      },
    ),
  };
}

function stepChart(kills: readonly TakeoverRun[]): string {
  if (kills.length === 0) return '';
  const most = Math.max(...kills.map(takeoverMs));
  const { medianMs, p99Ms } = takeoverGoal;
  return (
    legend(takeoverSteps.map(({ name }, index) => ({ name, colour: colourOf(index) }))) +
    stackChart(
      kills.map((run) => ({
        about: `${formatMs(takeoverMs(run))}: ${takeoverSteps.map(({ name, of }) => `${name} ${formatMs(of(run))}`).join(', ')}`,
        parts: takeoverSteps.map(({ of }, index) => ({ colour: colourOf(index), value: of(run) })),
      })),
      {
        id: 'takeover-steps',
        title: 'Steps of every takeover after a kill, fastest first',
        description: `${kills.length} takeovers; medians: ${stepMedians(kills).join(', ')}.`,
        yName: 'ms',
        references: [
          { value: medianMs, name: `goal for the median: ${medianMs} ms` },
          // Far above all columns it would only press them flat.
          ...(most > p99Ms * 0.6 ? [{ value: p99Ms, name: `goal for 99 %: ${p99Ms} ms` }] : []),
        ],
      },
    ) +
    figuresBelow(
      [named('step'), numeric('median'), numeric('least'), numeric('most')],
      [...takeoverSteps, { name: 'in all', of: takeoverMs }].map(({ name, of }) => {
        const times = summarize(kills.map(of));
        const { median: middle = 0, least = 0, greatest = 0 } = times ?? {};
        return [name, formatMs(middle), formatMs(least), formatMs(greatest)];
      }),
    )
  );
}

const stepMedians = (kills: readonly TakeoverRun[]): string[] =>
  takeoverSteps.map(({ name, of }) => `${name} ${formatMs(median(kills.map(of)))}`);

function groupChart(groups: readonly TakeoverGroup[]): string {
  if (groups.length === 0) return '';
  const summaries = groups.map((group) => ({
    name: groupName(group),
    times: group.runs.map(takeoverMs),
    colour: group.cause === 'kill' ? 'c1' : 'c3',
  }));
  return (
    barChart(
      summaries.map(({ name, times, colour }) => ({
        name,
        bars: [{ name, colour, samples: times }],
      })),
      {
        id: 'takeover-groups',
        title: 'Takeovers by cause and memory of the guest',
        description: summaries
          .map(({ name, times }) => `${name}: median ${formatMs(median(times))} of ${times.length}`)
          .join('; '),
        axis: 'ms, bars are medians, dots are takeovers',
        text: formatMs,
        left: namesWidth,
      },
    ) +
    figuresBelow(
      [named('takeover'), numeric('number'), numeric('median'), numeric('99 %'), numeric('most')],
      summaries.map(({ name, times }) => {
        const { median: middle = 0, p99 = 0, greatest = 0 } = summarize(times) ?? {};
        return [name, String(times.length), formatMs(middle), formatMs(p99), formatMs(greatest)];
      }),
    )
  );
}

function lagChart(groups: readonly TakeoverGroup[]): string {
  const kills = groups.filter(({ cause }) => cause === 'kill');
  if (kills.length === 0) return '';
  const lags = kills.flatMap(({ runs }) => runs.map(({ lagMs }) => lagMs));
  const scale = linearScale(Math.max(...lags), 0, 1000);
  const series = kills.map((group, index) => ({
    name: formatMemory(group.memoryBytes),
    colour: colourOf(index),
    points: group.runs.map((run) => ({ x: run.lagMs, y: takeoverMs(run) })),
  }));
  return (
    legend(series) +
    lineChart(series, {
      id: 'takeover-lag',
      title: 'Takeovers after a kill against the lag of the backup before it',
      description: `${lags.length} takeovers; lags from ${formatMs(Math.min(...lags))} to ${formatMs(Math.max(...lags))}.`,
      xName: 'lag before the kill, ms',
      yName: 'takeover, ms',
      yText: String,
      ticks: scale.ticks.map((x) => ({ x, text: String(x) })),
      place: (x) => scale(x) / 1000,
      joined: false,
    })
  );
}

function memoryChart(groups: readonly TakeoverGroup[]): string {
  if (groups.length === 0) return '';
  const sizes = [...new Set(groups.map(({ memoryBytes }) => memoryBytes))].sort((a, b) => a - b);
  const least = Math.log2(sizes[0] ?? 1);
  const width = Math.log2(sizes.at(-1) ?? 1) - least;
  const series = (['kill', 'drill'] as const).flatMap((cause) => {
    const points = groups
      .filter((group) => group.cause === cause)
      .flatMap(({ memoryBytes, runs }) =>
        runs.map((run) => ({ x: memoryBytes, y: takeoverMs(run) })),
      );
    const colour = cause === 'kill' ? 'c1' : 'c3';
    return points.length === 0 ? [] : [{ name: causeNames[cause], colour, points }];
  });
  return (
    legend(series) +
    lineChart(series, {
      id: 'takeover-memory',
      title: 'Takeovers against the memory of the guest',
      description: groups
        .map(
          (group) => `${groupName(group)}: median ${formatMs(median(group.runs.map(takeoverMs)))}`,
        )
        .join('; '),
      xName: 'memory of the guest; lines join the medians',
      yName: 'takeover, ms',
      yText: String,
      ticks: sizes.map((x) => ({ x, text: formatMemory(x) })),
      place: (x) => (width === 0 ? 0.5 : (Math.log2(x) - least) / width),
    })
  );
}

const groupName = ({ cause, memoryBytes }: TakeoverGroup): string =>
  `${causeNames[cause]}, ${formatMemory(memoryBytes)}`;
