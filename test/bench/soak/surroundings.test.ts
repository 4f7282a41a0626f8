// The soak of surroundings without its pair: what it is called with, which fault comes when, what
// counts as seen, and what the figures say.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readArguments } from '../../../bench/soak/surroundings/arguments.ts';
import { faultKinds, kindOf } from '../../../bench/soak/surroundings/faults.ts';
import { type Planned, schedule } from '../../../bench/soak/surroundings/schedule.ts';
import { shownByLine, shownByStatus } from '../../../bench/soak/surroundings/sightings.ts';
import { stepMs } from '../../../bench/soak/surroundings/strikes.ts';
import {
  allKept,
  isInvisible,
  type SoakResult,
  soakPromises,
  summaryOf,
  summaryTable,
  type Trial,
} from '../../../bench/soak/surroundings/summary.ts';
import { BootWatch } from '../../../bench/soak/surroundings/watch.ts';
import type { OutsideReport } from '../../../src/lab/judge.ts';

const names = faultKinds.map(({ name }) => name);

describe('arguments', () => {
  test('all have a default, and the seed is the fresh one', () => {
    expect(readArguments([], 7)).toEqual({
      ...{ minutes: 10, seed: 7, everyMs: 30_000, isStarved: false, only: names, json: false },
    });
  });

  test('all can be given', () => {
    const args = ['--minutes', '0.5', '--seed', '12', '--every', '20', '--starved', '--json'];
    expect(readArguments([...args, '--only', 'hogs', '--only', 'log full'], 7)).toEqual({
      ...{ minutes: 0.5, seed: 12, everyMs: 20_000, isStarved: true, json: true },
      only: ['hogs', 'log full'],
    });
  });

  test.each([
    [['--minutes', 'ten'], "--minutes must be a number from 0.5 to 10080: current value is 'ten'"],
    [['--minutes', '0'], '--minutes must be a number'],
    [['--minutes', ''], '--minutes must be a number'],
    [['--seed', '-1'], "Option '--seed' argument is ambiguous"],
    [['--seed', '1.5'], '--seed must be a whole number'],
    [['--seed', '4294967296'], '--seed must be a whole number from 0 to 4294967295'],
    [['--every', '1'], '--every must be a number from 10 to 3600'],
    [['--only', 'rain'], "current value is 'rain'"],
    [['--fast'], "Unknown option '--fast'"],
    [['now'], "Unexpected argument 'now'"],
  ])('%j is refused', (args, message) => {
    expect(() => readArguments(args, 7)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining(message) }),
    );
  });

  test('the command says one error and ends with 2', () => {
    const root = path.resolve(import.meta.dirname, '../../..');
    const args = ['--import', 'tsx', 'bench/soak/run.ts', 'surroundings', '--json', '--every', 'x'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root });
    expect(stderr.toString()).toBe(
      "--every must be a number from 10 to 3600: current value is 'x'\n",
    );
    expect([status, stdout.toString()]).toEqual([2, '']);
  });
});

describe('schedule', () => {
  const first = (seed: number, count: number, only = names): Planned[] => {
    const plan = schedule(seed, only);
    return Array.from({ length: count }, () => plan.next().value);
  };
  const all = faultKinds.flatMap(({ name, places }) => places.map((place) => `${name} ${place}`));

  test('the same seed brings the same faults, another one brings others', () => {
    expect(first(5, 100)).toEqual(first(5, 100));
    expect(first(5, 100)).not.toEqual(first(6, 100));
  });

  test('each fault comes in each place before one comes again', () => {
    const planned = first(9, 2 * all.length).map(({ name, place }) => `${name} ${place}`);
    expect(planned.slice(0, all.length).sort()).toEqual([...all].sort());
    expect(planned.slice(all.length).sort()).toEqual([...all].sort());
  });

  test('only what is asked for comes', () => {
    const planned = first(9, 20, ['hogs', 'node stopped']);
    expect(new Set(planned.map(({ name }) => name))).toEqual(new Set(['hogs', 'node stopped']));
  });

  test('a clock is stepped by a second to a month, back and forth', () => {
    const steps = Array.from({ length: 1000 }, (_, size) => stepMs(size));
    expect(steps.slice(0, 2)).toEqual([-1000, 1000]);
    expect(Math.max(...steps)).toBe(-Math.min(...steps));
    expect(Math.max(...steps)).toBeGreaterThan(28 * 86_400_000);
  });
});

test('a fault that need not be seen has a reason', () => {
  for (const { name, visible, why } of faultKinds) {
    expect(why !== undefined, name).toBe(visible === 'may');
  }
});

describe('what is seen', () => {
  const before = { role: 'primary', state: 'protected', term: 3 } as const;
  const status = { ...before, concerns: [] };
  const about = (part: string, problem: string) => ({
    concerns: [{ about: part, problem, since: '2026-01-01T00:00:00.000Z' }],
  });

  test('a concern about it, not one about something else', () => {
    const kind = kindOf('arbiter killed');
    const shown = shownByStatus(kind, 'a', before, { ...status, ...about('arbiter', 'is away') });
    expect(shown).toBe('a: arbiter: is away');
    expect(shownByStatus(kind, 'a', before, { ...status, ...about('disk', 'x') })).toBeUndefined();
  });

  test('another state shows a part that is broken, and not an arbiter that is away', () => {
    const alone = { ...status, state: 'alone' };
    expect(shownByStatus(kindOf('QEMU killed'), 'a', before, alone)).toBe(
      'a: primary, alone, term 3',
    );
    expect(shownByStatus(kindOf('arbiter killed'), 'a', before, alone)).toBeUndefined();
    expect(shownByStatus(kindOf('QEMU killed'), 'a', before, status)).toBeUndefined();
  });

  const line = (level: number, msg: string, fields: object = {}): string =>
    JSON.stringify({
      level,
      time: 1,
      pid: 2,
      hostname: 'log',
      name: 'understudy-a',
      ...fields,
      msg,
    });

  test('a line about it, not one that only the soak has caused', () => {
    const kind = kindOf('log full');
    const concern = line(40, 'a concern', { about: 'log', problem: 'its lines are not taken' });
    expect(shownByLine(kind, 'a', concern)).toContain('its lines are not taken');
    expect(shownByLine(kind, 'a', line(30, 'SIGHUP: the log'))).toBeUndefined();
    expect(shownByLine(kind, 'a', line(40, 'a concern', { about: 'arbiter' }))).toBeUndefined();
    expect(shownByLine(kind, 'a', 'torn')).toBeUndefined();
  });

  test('a change of state shows a part that is broken', () => {
    const changed = line(30, 'backup state', { from: 'protecting', to: 'takingOver' });
    expect(shownByLine(kindOf('node killed'), 'b', changed)).toContain('takingOver');
    expect(shownByLine(kindOf('arbiter killed'), 'b', changed)).toBeUndefined();
  });
});

test('a node that becomes primary has booted, unless it was a backup', () => {
  const watch = new BootWatch();
  const look = (role: 'starting' | 'backup' | 'primary' | 'gone', pid: number): boolean =>
    watch.look('a', role === 'gone' ? undefined : { role, pid });
  expect([look('starting', 5), look('primary', 5), look('primary', 5)]).toEqual([
    false,
    true,
    false,
  ]);
  expect([look('gone', 5), look('primary', 5)]).toEqual([false, false]); // it was stopped
  expect([look('starting', 5), look('backup', 5), look('primary', 5)]).toEqual([
    ...[false, false, false],
  ]);
  expect([look('gone', 5), look('primary', 6)]).toEqual([false, true]); // another process
});

describe('figures', () => {
  const outside = {
    ...{ requestsOk: 100, failedRequests: 0, slowestRequestMs: 9, failures: [], findings: [] },
    ...{ lostLedgerLines: 0, ledgerLines: 50, lostCounterValues: 0, doubledCounterValues: 0 },
    ...{ acknowledgedCounterValues: 40, echoLines: 30, lostEchoLines: 0, doubledEchoLines: 0 },
    ...{ echoBroken: null, longestGapMs: 5 },
  } satisfies OutsideReport;
  const trial = (change: Partial<Trial> = {}): Trial => ({
    planned: { name: 'QEMU killed', place: 'primary', size: 0 },
    seen: { inStatus: 'a: machine', inLog: 'a: a concern' },
    ...{ atMs: 4000, recoveryMs: 1200, takeovers: 1, isEqual: true, hasBooted: false },
    ...{ isLost: false, findings: [] },
    ...change,
  });
  const result = (trials: Trial[], change: Partial<SoakResult> = {}): SoakResult => ({
    ...{ seed: 4, trials, outside, takeovers: 3, unprotectedMs: 2, diskErrors: 0, findings: [] },
    ...change,
  });
  const hogs: Planned = { name: 'hogs', place: 'both', size: 0 };
  const unseen = { inStatus: undefined, inLog: undefined };

  test('are counted by fault', () => {
    const trials = [trial(), trial({ recoveryMs: 2000.4 }), trial({ planned: hogs, seen: unseen })];
    expect(summaryOf(result(trials))).toEqual({
      faults: { 'QEMU killed': 2, hogs: 1 },
      ...{ invisible: 0, machinesLost: 0, boots: 0, lostWords: 0, doubledWords: 0 },
      ...{ slowestRecoveryMs: 2000, takeovers: 3 },
    });
    expect(allKept(result(trials))).toBe(true);
  });

  test('a fault is to be seen in both, where it must be', () => {
    expect(isInvisible(trial())).toBe(false);
    expect(isInvisible(trial({ seen: { ...unseen, inLog: 'a line' } }))).toBe(true);
    expect(isInvisible(trial({ seen: { ...unseen, inStatus: 'a state' } }))).toBe(true);
    expect(isInvisible(trial({ planned: hogs, seen: unseen }))).toBe(false);
  });

  test.each<[string, Partial<Trial>, Partial<SoakResult>]>([
    ['protected again in time', { recoveryMs: 30_001 }, {}],
    ['protected again in time', { recoveryMs: undefined }, {}],
    ['protected again in time', {}, { unprotectedMs: 30_001 }],
    ['no machine is lost', { hasBooted: true }, {}],
    ['no machine is lost', { isLost: true }, {}],
    ['no word is lost or doubled', {}, { outside: { ...outside, lostLedgerLines: 1 } }],
    ['no word is lost or doubled', {}, { outside: { ...outside, doubledCounterValues: 1 } }],
    ['no request fails', {}, { outside: { ...outside, failedRequests: 1 } }],
    ['open connections carry on', {}, { outside: { ...outside, echoBroken: 'ECONNRESET' } }],
    ['the guest sees no error', {}, { diskErrors: 1 }],
    ['the backup is identical at every cut', { isEqual: false }, {}],
    ['every fault is to be seen', { seen: unseen }, {}],
  ])('%s, or it is said', (name, change, more) => {
    const found = result([trial(), trial(change)], more);
    const broken = soakPromises(found).filter(({ kept }) => !kept);
    expect(broken.map((promise) => promise.name)).toEqual([name]);
    expect(summaryTable(found)).toContain(`✗ ${name}`);
  });

  test('a soak that found nothing because it did nothing keeps no promise', () => {
    expect(allKept(result([]))).toBe(false);
  });

  test('the table has a row for each fault, and what was found', () => {
    const findings = ['the cut differs: timer'];
    const table = summaryTable(
      result([trial({ findings }), trial({ planned: hogs })], { findings: ['node b has ended'] }),
    );
    expect(table).toContain('seed 4: 2 faults, 3 takeovers');
    expect(table).toMatch(/QEMU killed +1 +1\.20 s +1 +1 and 1/);
    expect(table).toContain(' - QEMU killed, primary: the cut differs: timer');
    expect(table).toContain(' - node b has ended');
  });
});
