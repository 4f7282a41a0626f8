/**
 * What the project promises about its speed, each promise held against a run.
 *
 * A goal that this machine is not meant for, or that the run is too noisy for, keeps its value and
 * has `null` for a verdict, with the reason in `note`.
 */

import type { Arrangement, BenchResults, Goal, Job, ReplayRun } from '../results.ts';
import { jobNames, timerName } from './names.ts';
import { jobTimes, median, percentile, slowdowns, tooNoisy } from './stats.ts';
import { largeMemoryBytes, takeoverTimes } from './takeovers.ts';

/** A primary, a backup and a client, none of which waits for the processor of another. */
const coresForSlowdown = 3;

/** From the kill to the first output, milliseconds. */
export const takeoverGoal = { medianMs: 80, p99Ms: 250 } as const;
/** Of an output of a pair under HTTP load, 99 %. */
export const holdGoalMs = 5;
/** Of a backup under HTTP load, 99 %. */
export const lagGoalMs = 100;

/** The names under which the page looks for its headlines. */
export const goalNames = {
  cpu: `${jobNames.cpu}: protected against plain TCG`,
  takeoverP50: 'takeover after a kill, median',
  takeoverP99: 'takeover after a kill, 99 %',
  holdP99: 'hold of an output under HTTP load, 99 %',
  worstReplay: 'replay as fast as record, worst job',
  nodesIdle: 'share of a core of both nodes, idle guest',
  nodesHttp: 'share of a core of both nodes, HTTP load',
  lagP99: 'lag of the backup under HTTP load, 99 %',
} as const;

type Bound = Goal['goal'];

export function goalsOf(results: BenchResults): readonly Goal[] {
  return [
    ...slowdownGoals(results),
    ...replayGoals(results),
    ...idleLogGoals(results),
    measured(goalNames.lagP99, 'ms', { atMost: lagGoalMs }, worst(httpLags(results))),
    measured(goalNames.holdP99, 'ms', { atMost: holdGoalMs }, worst(httpHolds(results))),
    ...takeoverGoals(results),
    ...nodeCpuGoals(results),
    measured(
      'pause of the guest for a cut, median',
      'ms',
      { atMost: 8 },
      middle(results.cuts.map(({ pauseMs }) => pauseMs)),
    ),
  ];
}

function slowdownGoals(results: BenchResults): Goal[] {
  return [
    slowdownGoal(results, 'cpu', 'bare', 1.5, goalNames.cpu),
    slowdownGoal(results, 'cpu', 'icount', 1.1, `${jobNames.cpu}: protected against -icount alone`),
    ...(['diskread', 'diskwrite', 'http'] as const).map((job) =>
      slowdownGoal(results, job, 'bare', 1.3, `${jobNames[job]}: protected against plain TCG`),
    ),
  ];
}

function slowdownGoal(
  { jobRuns, machine }: BenchResults,
  job: Job,
  base: Arrangement,
  atMost: number,
  name: string,
): Goal {
  const ratios = slowdowns(jobRuns, job, 'pair', base);
  const goal = measured(name, 'ratio', { atMost }, middle(ratios));
  if (goal.value === null) return goal;
  if (machine.cores < coresForSlowdown) {
    return { ...goal, pass: null, note: fewCores(machine.cores) };
  }
  return unlessNoisy(goal, atMost, ratios, [
    jobTimes(jobRuns, job, 'pair'),
    jobTimes(jobRuns, job, base),
  ]);
}

const fewCores = (cores: number): string =>
  `the goal is for ${coresForSlowdown} free processors or more, this machine has ${cores}`;

function replayGoals({ replays }: BenchResults): Goal[] {
  const jobs = [...new Set(replays.map(({ during }) => during))];
  const afterBoot = jobs
    .filter((during) => during !== 'boot')
    .map((during) => {
      const runs = replays.filter((run) => run.during === during);
      const name = `replay as fast as record: ${jobNames[during]}`;
      return speedGoal(name, runs, { atLeast: 1 }, ({ recordMs, replayMs }) => [
        recordMs,
        replayMs,
      ]);
    });
  const boots = replays.filter(({ during }) => during === 'boot');
  const slowest = afterBoot.reduce<Goal | undefined>(
    (least, goal) => (least === undefined || ratioOf(goal) < ratioOf(least) ? goal : least),
    undefined,
  );
  return [
    ...afterBoot,
    slowest === undefined
      ? measured(goalNames.worstReplay, 'ratio', { atLeast: 1 }, null)
      : { ...slowest, name: goalNames.worstReplay },
    speedGoal('replay of a boot against its record', boots, { atMost: 3 }, (run) => [
      run.replayMs,
      run.recordMs,
    ]),
  ];
}

function speedGoal(
  name: string,
  runs: readonly ReplayRun[],
  bound: Bound,
  sides: (run: ReplayRun) => readonly [number, number],
): Goal {
  const ratios = runs.map(sides).flatMap(([over, under]) => (under > 0 ? [over / under] : []));
  return unlessNoisy(measured(name, 'ratio', bound, middle(ratios)), limitOf(bound), ratios, [
    runs.map(({ recordMs }) => recordMs),
    runs.map(({ replayMs }) => replayMs),
  ]);
}

/** One for each rate of the guest's idle timer: the rate, not this program, makes most of it. */
function idleLogGoals({ logs }: BenchResults): Goal[] {
  return forIdleTimers(logs, (runs, suffix) =>
    measured(
      `log of an idle guest on the wire${suffix}`,
      'bytes/s',
      { atMost: 6000 },
      middle(runs.map(({ wireBytes, seconds }) => wireBytes / seconds)),
    ),
  );
}

function nodeCpuGoals({ logs }: BenchResults): Goal[] {
  const both = (runs: BenchResults['logs']): number | null =>
    middle(
      runs.map(({ nodeCpuSeconds, seconds }) => {
        return (nodeCpuSeconds.primary + nodeCpuSeconds.backup) / seconds;
      }),
    );
  const http = logs.filter(({ during, seconds }) => during === 'http' && seconds > 0);
  return [
    ...forIdleTimers(logs, (runs, suffix) =>
      measured(`${goalNames.nodesIdle}${suffix}`, 'share of a core', { atMost: 0.15 }, both(runs)),
    ),
    measured(goalNames.nodesHttp, 'share of a core', { atMost: 0.3 }, both(http)),
  ];
}

function forIdleTimers(
  logs: BenchResults['logs'],
  goal: (runs: BenchResults['logs'], suffix: string) => Goal,
): Goal[] {
  const idle = logs.filter(({ during, seconds }) => during === 'idle' && seconds > 0);
  const rates = [...new Set(idle.map(({ guestTimerHz }) => guestTimerHz))].sort((a, b) => a - b);
  if (rates.length <= 1) return [goal(idle, '')];
  return rates.map((hz) =>
    goal(
      idle.filter(({ guestTimerHz }) => guestTimerHz === hz),
      ` (${timerName(hz)})`,
    ),
  );
}

function takeoverGoals({ takeovers, guestMemoryBytes }: BenchResults): Goal[] {
  const usual = takeoverTimes(takeovers, 'kill', guestMemoryBytes);
  const large = takeoverTimes(takeovers, 'kill', largeMemoryBytes);
  const comparable = usual.length > 0 && large.length > 0 && guestMemoryBytes !== largeMemoryBytes;
  return [
    measured(goalNames.takeoverP50, 'ms', { atMost: takeoverGoal.medianMs }, middle(usual)),
    measured(
      goalNames.takeoverP99,
      'ms',
      { atMost: takeoverGoal.p99Ms },
      usual.length === 0 ? null : percentile(usual, 0.99),
    ),
    measured(
      'takeover of a 2 GiB guest against the usual one, medians',
      'ratio',
      { atMost: 1.2 },
      comparable && median(usual) > 0 ? median(large) / median(usual) : null,
    ),
  ];
}

const httpLags = ({ lags }: BenchResults): number[] =>
  lags.filter(({ during, samples }) => during === 'http' && samples > 0).map(({ p99Ms }) => p99Ms);

const httpHolds = ({ holds }: BenchResults): number[] =>
  holds.filter(({ load, outputs }) => load === 'http' && outputs > 0).map(({ p99Ms }) => p99Ms);

function measured(name: string, unit: Goal['unit'], goal: Bound, value: number | null): Goal {
  if (value === null) return { name, value, unit, goal, pass: null, note: 'not measured' };
  const pass = 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast;
  return { name, value, unit, goal, pass };
}

function unlessNoisy(
  goal: Goal,
  bound: number,
  ratios: readonly number[],
  ownRuns: readonly (readonly number[])[],
): Goal {
  const note = goal.value === null ? undefined : tooNoisy(ratios, bound, ownRuns);
  return note === undefined ? goal : { ...goal, pass: null, note };
}

const limitOf = (bound: Bound): number => ('atMost' in bound ? bound.atMost : bound.atLeast);
const ratioOf = ({ value }: Goal): number => value ?? Number.POSITIVE_INFINITY;
const middle = (values: readonly number[]): number | null =>
  values.length === 0 ? null : median(values);
/** The promise of a percentile holds in every run that told one. */
const worst = (values: readonly number[]): number | null =>
  values.length === 0 ? null : Math.max(...values);
