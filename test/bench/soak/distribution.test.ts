// A soak must refuse what it does not understand, be the same for the same seed, and never call a
// stall explained that nobody has explained.
import { describe, expect, it } from 'vitest';
import { readArguments } from '../../../bench/soak/distribution/arguments.ts';
import { verdictOf } from '../../../bench/soak/distribution/evidence.ts';
import { Findings } from '../../../bench/soak/distribution/findings.ts';
import { phaseNames, phasesInTurn } from '../../../bench/soak/distribution/phases.ts';
import { soakPromises, summaryOf } from '../../../bench/soak/distribution/summary.ts';

describe('what it is called with', () => {
  it('has defaults that reach the goal of an hour', () => {
    expect(readArguments([], 7)).toEqual({
      ...{ minutes: 60, seed: 7, everyMs: 3000, roundMs: 50_000, memoryMebibytes: 512 },
      ...{ only: phaseNames, timesBoot: true, json: false },
    });
  });

  it.each([
    [
      ['--minutes', 'long'],
      "--minutes must be a number from 0.5 to 10080: current value is 'long'",
    ],
    [
      ['--memory', '511'],
      "--memory must be an even number of MiB from 192 on: current value is '511'",
    ],
    [
      ['--only', 'sleep'],
      `--only must be one of ${phaseNames.join(', ')}: current value is 'sleep'`,
    ],
    [['--seed', '-1'], "Option '--seed' argument is ambiguous"],
    [['--fast'], "Unknown option '--fast'"],
  ])('%j is refused, and it is said why', (args, message) => {
    expect(() => readArguments(args, 7)).toThrow(message);
  });
});

it('each phase comes once in a turn, in the order of the seed', () => {
  const turn = (seed: number) => {
    const phases = phasesInTurn(phaseNames, seed);
    return Array.from({ length: 2 * phaseNames.length }, () => phases.next().value);
  };
  expect(turn(1)).toEqual(turn(1));
  expect(turn(1)).not.toEqual(turn(2));
  for (const half of [turn(3).slice(0, phaseNames.length), turn(3).slice(phaseNames.length)]) {
    expect([...half].sort()).toEqual([...phaseNames].sort());
  }
});

describe('a stall', () => {
  const reason = (ran: number, waited: number): string =>
    'no log was read and no marker executed for 3000 ms; event interrupt is not consumed at ' +
    'icount 500 (instructions left 0, id 0); in 200 ms its threads did: CPU 0/TCG R: ' +
    `ran ${ran} ms, waited ${waited} ms for a processor`;

  it.each([
    ['not served', reason(3, 190), undefined],
    ['left lockstep', reason(199, 1), { icount: 501 }],
    ['the log cannot be executed', reason(0, 0), { problem: reason(0, 0) }],
    // A fresh copy has stopped there, too: it was no matter of processors.
    ['the log cannot be executed', reason(3, 190), { problem: reason(3, 190) }],
    ['not served', reason(3, 190), { problem: reason(3, 190).replace('500', '400') }],
    ['unknown', reason(0, 0), { problem: reason(0, 0).replace('500', '400') }],
    ['unknown', reason(0, 0), { icount: 500 }],
    ['unknown', reason(0, 0), { problem: 'The store is gone' }],
    ['unknown', reason(0, 0), undefined],
  ])('is %s', (verdict, told, again) => {
    expect(verdictOf(told, again)).toBe(verdict);
  });

  it('breaks a promise, explained or not, and so does a copy that is given up otherwise', () => {
    const findings = new Findings();
    findings.compares = 3;
    const seen: string[] = [];
    const take = (text: string): void =>
      void findings.take('b', { type: 'replicaDiscarded', reason: text }, (stall) => {
        stall.verdict = verdictOf(stall.reason, undefined);
        seen.push(stall.node);
      });
    take(reason(3, 190));
    take(reason(0, 0));
    take('the link is gone');
    const ledger = { acknowledged: 9, lost: 0, doubled: 0 };
    const result = { seed: 1, findings, ledger, boot: { bare: 50_000, protected: 75_000 } };
    expect(seen).toEqual(['b', 'b']);
    expect(summaryOf(result)).toEqual({
      ...{ takeovers: 0, compares: 3, unequal: 0, stalls: 2, explained: 1, lost: 0, doubled: 0 },
      bootRatio: 1.5,
    });
    expect(soakPromises(result).filter(({ kept }) => !kept)).toMatchObject([
      { name: 'no copy stalls', text: '2 did; not served, unknown' },
      { name: 'nothing else happens' },
    ]);
  });
});
