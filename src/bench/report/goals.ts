/**
 * What the project promises about its speed, each promise held against a run.
 *
 * A goal that this machine is not meant for, or that the run is too noisy for, keeps its value and
 * has `null` for a verdict, with the reason in `note`.
 */

import type { BenchResults, Goal, ReplayRun } from '../results.ts';
import { arrangementNames, jobNames, timerName } from './names.ts';
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
  const { cuts, holds, lags, logs } = results;
  const usable = logs.filter(({ seconds }) => seconds > 0);
  const onHttp = usable.filter(({ during }) => during === 'http');
  const httpLags = lags.filter(({ during, samples }) => during === 'http' && samples > 0);
  const httpHolds = holds.filter(({ load, outputs }) => load === 'http' && outputs > 0);
  const pauses = cuts.map(({ pauseMs }) => pauseMs);
  const nodes = (runs: BenchResults['logs']): number | null =>
    middle(runs.map(({ nodeCpuSeconds: both, seconds }) => (both.primary + both.backup) / seconds));
  return [
    ...slowdownGoals(results),
    ...replayGoals(results),
    // The rate of the timer, not this program, makes most of it.
    ...forIdleTimers(usable, (runs, suffix) => {
      const rate = middle(runs.map(({ wireBytes, seconds }) => wireBytes / seconds));
      const name = `log of an idle guest on the wire${suffix}`;
      return measured(name, 'bytes/s', { atMost: 6000 }, rate);
    }),
    measured(goalNames.lagP99, 'ms', { atMost: lagGoalMs }, worst(httpLags)),
    measured(goalNames.holdP99, 'ms', { atMost: holdGoalMs }, worst(httpHolds)),
    ...takeoverGoals(results),
    ...forIdleTimers(usable, (runs, suffix) =>
      measured(`${goalNames.nodesIdle}${suffix}`, 'share of a core', { atMost: 0.15 }, nodes(runs)),
    ),
    measured(goalNames.nodesHttp, 'share of a core', { atMost: 0.3 }, nodes(onHttp)),
    measured('pause of the guest for a cut, median', 'ms', { atMost: 8 }, middle(pauses)),
  ];
}

/** How many goals were kept, for people. */
export function goalsText(goals: readonly Goal[]): string {
  const count = (pass: boolean | null): number => goals.filter((goal) => goal.pass === pass).length;
  return `${count(true)} kept, ${count(false)} missed, ${count(null)} without a verdict.`;
}

const slowdownsAtMost = [
  ['cpu', 'bare', 1.5],
  ['cpu', 'icount', 1.1],
  ['diskread', 'bare', 1.3],
  ['diskwrite', 'bare', 1.3],
  ['http', 'bare', 1.3],
] as const;

const slowdownGoals = ({ jobRuns, machine: { cores } }: BenchResults): Goal[] =>
  slowdownsAtMost.map(([job, base, atMost]) => {
    const name = `${jobNames[job]}: protected against ${arrangementNames[base]}`;
    const ratios = slowdowns(jobRuns, job, 'pair', base);
    const goal = measured(name, 'ratio', { atMost }, middle(ratios));
    if (goal.value !== null && cores < coresForSlowdown) {
      const what = `the goal is for ${coresForSlowdown} free processors or more`;
      return { ...goal, pass: null, note: `${what}, this machine has ${cores}` };
    }
    const own = [jobTimes(jobRuns, job, 'pair'), jobTimes(jobRuns, job, base)];
    return unlessNoisy(goal, ratios, own);
  });

function replayGoals({ replays }: BenchResults): Goal[] {
  const runsOf = (during: ReplayRun['during']) => replays.filter((run) => run.during === during);
  const done = [...new Set(replays.map(({ during }) => during))].filter((one) => one !== 'boot');
  const afterBoot = done.map((during) => {
    const name = `replay as fast as record: ${jobNames[during]}`;
    return ratioGoal(name, { atLeast: 1 }, runsOf(during), ({ recordMs, replayMs }) => [
      recordMs,
      replayMs,
    ]);
  });
  const [slowest = measured('', 'ratio', { atLeast: 1 }, null)] = afterBoot.toSorted(
    (a, b) => (a.value ?? Number.POSITIVE_INFINITY) - (b.value ?? Number.POSITIVE_INFINITY),
  );
  return [
    ...afterBoot,
    { ...slowest, name: goalNames.worstReplay },
    ratioGoal('replay of a boot against its record', { atMost: 3 }, runsOf('boot'), (run) => [
      run.replayMs,
      run.recordMs,
    ]),
  ];
}

function ratioGoal(
  name: string,
  goal: Bound,
  runs: readonly ReplayRun[],
  sides: (run: ReplayRun) => readonly [over: number, under: number],
): Goal {
  const all = runs.map(sides);
  const ratios = all.flatMap(([over, under]) => (under > 0 ? [over / under] : []));
  const own = [all.map(([over]) => over), all.map(([, under]) => under)];
  return unlessNoisy(measured(name, 'ratio', goal, middle(ratios)), ratios, own);
}

/** One for each rate of the guest's idle timer. */
function forIdleTimers(
  logs: BenchResults['logs'],
  goal: (runs: BenchResults['logs'], suffix: string) => Goal,
): Goal[] {
  const idle = logs.filter(({ during }) => during === 'idle');
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

function measured(name: string, unit: Goal['unit'], goal: Bound, value: number | null): Goal {
  if (value === null) return { name, value, unit, goal, pass: null, note: 'not measured' };
  const pass = 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast;
  return { name, value, unit, goal, pass };
}

function unlessNoisy(
  goal: Goal,
  ratios: readonly number[],
  ownRuns: readonly (readonly number[])[],
): Goal {
  const note = goal.value === null ? undefined : tooNoisy(ratios, limitOf(goal.goal), ownRuns);
  return note === undefined ? goal : { ...goal, pass: null, note };
}

const limitOf = (bound: Bound): number => ('atMost' in bound ? bound.atMost : bound.atLeast);
const middle = (values: readonly number[]): number | null =>
  values.length === 0 ? null : median(values);
/** The promise of a percentile holds in every run that told one. */
const worst = (runs: readonly { readonly p99Ms: number }[]): number | null =>
  runs.length === 0 ? null : Math.max(...runs.map(({ p99Ms }) => p99Ms));
