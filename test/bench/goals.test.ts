// A goal is kept at its bound and missed right behind it; what was not measured has no verdict.
import { describe, expect, test } from 'vitest';
import { formatGoalValue } from '../../src/bench/report/format.ts';
import { goalNames, goalsOf } from '../../src/bench/report/goals.ts';
import type { BenchResults, Goal, JobRun, LogRun, TakeoverRun } from '../../src/bench/results.ts';
import { emptyResults, fullResults } from './fixture.ts';

const MiB = 2 ** 20;

function goal(given: Partial<BenchResults>, name: string): Goal {
  const found = goalsOf(emptyResults(given)).find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no goal '${name}'`);
  return found;
}

const times = (arrangement: JobRun['arrangement'], job: JobRun['job'], ms: number[]): JobRun[] =>
  ms.map((one, round) => ({ arrangement, job, round, ms: one }));

const takeover = (totalMs: number, memoryBytes = 512 * MiB): TakeoverRun => ({
  cause: 'kill',
  memoryBytes,
  lagMs: 1,
  detectMs: totalMs - 30,
  drainMs: 15,
  loadMs: 10,
  firstOutputMs: 5,
});

const log = (given: Partial<LogRun>): LogRun => ({
  during: 'idle',
  guestTimerHz: 0,
  seconds: 10,
  rawBytes: 0,
  wireBytes: 0,
  instructions: 0,
  nodeCpuSeconds: { primary: 0, backup: 0 },
  ...given,
});

test('nothing measured: every goal is there, none has a verdict', () => {
  const goals = goalsOf(emptyResults());
  expect(goals.length).toBe(16);
  for (const one of goals) {
    expect(one).toMatchObject({ value: null, pass: null, note: 'not measured' });
  }
});

test('names are unique', () => {
  const names = goalsOf(fullResults()).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

describe('slowdown', () => {
  test.each([
    ['cpu', 'bare', 1.5, goalNames.cpu],
    ['cpu', 'icount', 1.1, 'CPU-bound: protected against -icount alone'],
    ['diskread', 'bare', 1.3, 'disk read: protected against plain TCG'],
    ['diskwrite', 'bare', 1.3, 'disk write: protected against plain TCG'],
    ['http', 'bare', 1.3, 'HTTP: protected against plain TCG'],
  ] as const)('%s against %s: at most %d', (job, base, bound, name) => {
    const at = (ratio: number) =>
      goal({ jobRuns: [...times(base, job, [1000]), ...times('pair', job, [1000 * ratio])] }, name);
    expect(at(bound)).toMatchObject({ value: bound, pass: true, unit: 'ratio' });
    expect(at(bound + 0.001).pass).toBe(false);
  });

  test('a machine with fewer than three processors shows the value and gives no verdict', () => {
    const machine = { ...emptyResults().machine, cores: 2 };
    const jobRuns = [...times('bare', 'cpu', [1000]), ...times('pair', 'cpu', [2000])];
    expect(goal({ jobRuns, machine }, goalNames.cpu)).toMatchObject({ value: 2, pass: null });
    expect(goal({ jobRuns, machine }, goalNames.cpu).note).toContain('this machine has 2');
    expect(goal({ jobRuns }, goalNames.cpu).pass).toBe(false);
  });

  test('noisy rounds on both sides of the goal give no verdict', () => {
    const jobRuns = [
      ...times('bare', 'cpu', [1000, 1000, 1000]),
      ...times('pair', 'cpu', [1300, 1450, 1700]),
    ];
    const found = goal({ jobRuns }, goalNames.cpu);
    expect(found).toMatchObject({ value: 1.45, pass: null });
    expect(found.note).toContain('too noisy to tell');
  });
});

describe('replay', () => {
  const replay = (during: 'cpu' | 'http' | 'boot', recordMs: number, replayMs: number) => ({
    during,
    round: 0,
    recordMs,
    replayMs,
  });

  test('each job has a goal, and the worst one its own', () => {
    const replays = [replay('cpu', 1000, 1000), replay('http', 900, 1000)];
    expect(goal({ replays }, 'replay as fast as record: CPU-bound').pass).toBe(true);
    expect(goal({ replays }, 'replay as fast as record: HTTP').pass).toBe(false);
    expect(goal({ replays }, goalNames.worstReplay)).toMatchObject({ value: 0.9, pass: false });
  });

  test('a boot may take three times as long, and is not a job', () => {
    const name = 'replay of a boot against its record';
    expect(goal({ replays: [replay('boot', 1000, 3000)] }, name).pass).toBe(true);
    expect(goal({ replays: [replay('boot', 1000, 3001)] }, name).pass).toBe(false);
    expect(goal({ replays: [replay('boot', 1000, 3000)] }, goalNames.worstReplay).value).toBeNull();
  });
});

describe('log, lag and hold', () => {
  test('an idle log of 6 KB/s', () => {
    const name = 'log of an idle guest on the wire';
    expect(goal({ logs: [log({ wireBytes: 60_000 })] }, name)).toMatchObject({
      value: 6000,
      pass: true,
    });
    expect(goal({ logs: [log({ wireBytes: 60_010 })] }, name).pass).toBe(false);
    expect(goal({ logs: [log({ during: 'http', wireBytes: 1 })] }, name).value).toBeNull();
  });

  test('each rate of the idle timer is judged by itself', () => {
    const logs = [
      log({ guestTimerHz: 1000, wireBytes: 90_000 }),
      log({ guestTimerHz: 0, wireBytes: 9000 }),
    ];
    const name = 'log of an idle guest on the wire';
    expect(goal({ logs }, `${name} (no idle timer)`)).toMatchObject({ value: 900, pass: true });
    expect(goal({ logs }, `${name} (idle timer 1000 Hz)`).pass).toBe(false);
  });

  test('lag and hold: the worst run, under HTTP only', () => {
    const lag = (during: 'http' | 'cpu', p99Ms: number) => ({
      during,
      p50Ms: 1,
      p99Ms,
      samples: 9,
    });
    expect(goal({ lags: [lag('http', 100), lag('cpu', 500)] }, goalNames.lagP99).pass).toBe(true);
    expect(goal({ lags: [lag('http', 50), lag('http', 101)] }, goalNames.lagP99)).toMatchObject({
      value: 101,
      pass: false,
    });
    const hold = (load: 'http' | 'idle', p99Ms: number) => ({ load, p50Ms: 1, p99Ms, outputs: 9 });
    expect(goal({ holds: [hold('http', 5), hold('idle', 9)] }, goalNames.holdP99).pass).toBe(true);
    expect(goal({ holds: [hold('http', 5.01)] }, goalNames.holdP99).pass).toBe(false);
  });
});

describe('takeover', () => {
  test('the median at 80 ms, 99 % at 250 ms, of kills of the usual guest', () => {
    const drill = { ...takeover(900), cause: 'drill' as const };
    const good = [takeover(80), takeover(80), takeover(250), drill, takeover(999, 128 * MiB)];
    expect(goal({ takeovers: good }, goalNames.takeoverP50)).toMatchObject({
      value: 80,
      pass: true,
    });
    expect(goal({ takeovers: good }, goalNames.takeoverP99)).toMatchObject({
      value: 250,
      pass: true,
    });
    const bad = [takeover(81), takeover(251), takeover(60)];
    expect(goal({ takeovers: bad }, goalNames.takeoverP50).pass).toBe(false);
    expect(goal({ takeovers: bad }, goalNames.takeoverP99).pass).toBe(false);
  });

  test('2 GiB within 20 % of the usual guest', () => {
    const name = 'takeover of a 2 GiB guest against the usual one, medians';
    const at = (ms: number) => goal({ takeovers: [takeover(100), takeover(ms, 2048 * MiB)] }, name);
    expect(at(120)).toMatchObject({ value: 1.2, pass: true });
    expect(at(121).pass).toBe(false);
    expect(goal({ takeovers: [takeover(100)] }, name).value).toBeNull();
    const all2GiB = { guestMemoryBytes: 2048 * MiB, takeovers: [takeover(100, 2048 * MiB)] };
    expect(goal(all2GiB, name).value).toBeNull();
  });
});

test('processors: both nodes together', () => {
  const used = (during: 'idle' | 'http', primary: number, backup: number) =>
    log({ during, nodeCpuSeconds: { primary, backup } });
  expect(goal({ logs: [used('idle', 1, 0.5)] }, goalNames.nodesIdle).pass).toBe(true);
  expect(goal({ logs: [used('idle', 1, 0.51)] }, goalNames.nodesIdle).pass).toBe(false);
  expect(goal({ logs: [used('http', 1, 2)] }, goalNames.nodesHttp).pass).toBe(true);
  expect(goal({ logs: [used('http', 1, 2.01)] }, goalNames.nodesHttp).pass).toBe(false);
});

test('a cut: the median pause at 8 ms', () => {
  const cuts = (...pauses: number[]) =>
    pauses.map((pauseMs) => ({ pauseMs, ramMs: 1, compareMs: 1, equal: true }));
  const name = 'pause of the guest for a cut, median';
  expect(goal({ cuts: cuts(7, 8, 90) }, name)).toMatchObject({ value: 8, pass: true });
  expect(goal({ cuts: cuts(7, 8.1, 90) }, name).pass).toBe(false);
});

test('a value that rounds to its bound shows on which side it is', () => {
  const at = (value: number): Goal => ({
    name: 'x',
    value,
    unit: 'ms',
    goal: { atMost: 80 },
    pass: value <= 80,
  });
  expect(formatGoalValue(at(80))).toBe('80 ms');
  expect(formatGoalValue(at(80.4))).toBe('80.4 ms');
  expect(formatGoalValue(at(80.04))).toBe('80.04 ms');
  expect(formatGoalValue(at(91.2))).toBe('91 ms');
  expect(formatGoalValue({ ...at(6012), unit: 'bytes/s', goal: { atMost: 6000 } })).toBe(
    '6.01 KB/s',
  );
});
