// A backup must get every byte of log since its cut, and what is said at a position right behind
// it.
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/base/limits.ts';
import { epoch, icount, logPosition, type Millis, term } from '../../src/base/units.ts';
import { CutDesk } from '../../src/core/cut-desk.ts';
import { Cuts } from '../../src/core/cuts.ts';
import type { NodeEffect } from '../../src/core/effects.ts';
import { FlowControl, spoolShare, throttleShare } from '../../src/core/flow-control.ts';
import { LogPacking } from '../../src/core/log-packing.ts';
import { ServedBackup } from '../../src/core/served-backup.ts';
import { judgeTerm } from '../../src/core/terms.ts';
import type { Control } from '../../src/ports/link.ts';
import type { RecordedRun } from '../../src/ports/machine.ts';

const at = (ms: number) => ms as Millis;

/** A run of log; `marker`: how much was executed at the marker in it. */
const run = (from: number, to: number, marker?: number): RecordedRun => ({
  ...{ from: logPosition(from), to: logPosition(to), bytes: to - from },
  markers:
    marker === undefined
      ? []
      : [{ epoch: epoch(1), position: logPosition(from), icount: icount(marker) }],
});

function serving(policy: 'hold' | 'runAlone' = 'runAlone') {
  const effects: NodeEffect[] = [];
  const emit = (effect: NodeEffect): void => {
    effects.push(effect);
  };
  const cuts = new CutDesk({
    ...{ cuts: new Cuts({}), term: () => term(1), state: () => 'protected', emit },
  });
  const backup = new ServedBackup(
    {
      ...{ link: 3, detector: { silenceMs: 60_000, heartbeatMs: 20_000 }, judgeTerm },
      ...{ term: () => term(1), onSuspect: () => undefined, onTermHeard: () => undefined },
      ...{ emit, cuts, flow: new FlowControl(policy) },
      packing: new LogPacking({ backupKeepsLog: false }),
    },
    at(0),
  );
  const ship = (...runs: RecordedRun[]) => {
    for (const one of runs) backup.ship(one, term(1), at(0));
  };
  const said = () =>
    effects.flatMap((effect) => {
      if (effect.type === 'ship') return [`log to ${effect.run.to}`];
      return effect.type === 'send' && effect.message.kind === 'control'
        ? [effect.message.control.type]
        : [];
    });
  const say = () => backup.peer.tell({ type: 'drill' });
  const hear = (control: Control) =>
    backup.take({ kind: 'control', term: term(1), control }, at(0));
  const spooled = (usedBytes: number, budgetBytes: number) =>
    hear({ type: 'seedSpool', usedBytes, budgetBytes });
  const executed = (count: number, now: Millis) => {
    const received = logPosition(0);
    backup.take({ kind: 'ack', term: term(1), received, appliedIcount: icount(count) }, now);
  };
  return { backup, effects, ship, said, say, hear, spooled, executed };
}

describe('what is shipped to a backup', () => {
  it('is whole runs from the cut on, and nothing before it (1)', () => {
    const { backup, effects, ship } = serving();
    ship(run(12, 20));
    backup.shipFrom(logPosition(30));
    const [before, first, second] = [run(20, 30), run(30, 47), run(47, 60)];
    ship(before, first, second);
    expect(effects).toEqual(
      [first, second].map((shipped) => {
        return { type: 'ship', link: 3, term: 1, run: shipped, isPlain: false };
      }),
    );
  });

  it('is in the term of the moment: a claim may be won while it is served (1)', () => {
    const { backup, effects } = serving();
    backup.shipFrom(logPosition(30));
    backup.ship(run(30, 40), term(4), at(0));
    expect(effects).toMatchObject([{ type: 'ship', term: 4 }]);
  });
});

describe('what is said at a position of the log', () => {
  it('keeps an appointment exactly at its position (2)', () => {
    // Goal: a cut is compared against the log up to it, neither more nor less.
    const { backup, ship, said, say } = serving();
    backup.shipFrom(logPosition(12));
    backup.at(logPosition(30), say);
    ship(run(12, 20), run(20, 30), run(30, 40));
    backup.at(logPosition(40), say); // for where it is already: at once
    expect(said()).toEqual(['log to 20', 'log to 30', 'drill', 'log to 40', 'drill']);
  });

  it('two at one position are kept in their order (2)', () => {
    const { backup, ship, said } = serving();
    backup.shipFrom(logPosition(12));
    const position = logPosition(20);
    backup.at(position, () => backup.peer.tell({ type: 'resumed', position }));
    backup.at(position, () => backup.peer.tell({ type: 'drill' }));
    ship(run(12, 20));
    expect(said()).toEqual(['log to 20', 'resumed', 'drill']);
  });

  it('appointment in the past is a bug and says so (2)', () => {
    const { backup, ship } = serving();
    backup.shipFrom(logPosition(12));
    ship(run(12, 20));
    expect(() => backup.at(logPosition(12), () => undefined)).toThrow('past position 12');
  });

  it('runs end on either side of it: a bug, too, and nothing is said late (2)', () => {
    const { backup, ship, said, say } = serving();
    backup.shipFrom(logPosition(12));
    backup.at(logPosition(15), say);
    expect(() => ship(run(12, 20))).toThrow('past position 15');
    expect(said()).not.toContain('drill');
  });

  it('no cut was made for it yet: what the machine does is in its seed, and not said (2)', () => {
    const { backup, ship, said, say } = serving();
    backup.at(logPosition(12), say);
    backup.shipFrom(logPosition(12));
    ship(run(12, 20));
    expect(said()).toEqual(['log to 20']);
  });
});

describe('how much a backup slows its primary down', () => {
  it('its spool fills while it is seeded, and counts no more when it executes', () => {
    const { backup, spooled, hear } = serving();
    spooled(70, 100);
    expect(backup.share, 'nothing is shipped yet').toBe(0);
    backup.shipFrom(logPosition(12));
    expect(backup.share).toBe(spoolShare(70, 100));
    expect(hear({ type: 'seedReady', seedId: '1.1' })).toEqual({ type: 'backupReady' });
    expect(backup.share).toBe(0);
  });

  it('the greater of its spool and its lag is what counts', () => {
    const { backup, ship, spooled, executed } = serving();
    backup.shipFrom(logPosition(12));
    executed(1, at(0));
    ship(run(12, 20, 50));
    backup.timer(at(limits.fullThrottleLagMs - 20));
    const lagging = throttleShare(limits.fullThrottleLagMs - 20);
    expect(backup.share).toBe(lagging);
    spooled(95, 100);
    expect(backup.share).toBe(limits.throttleShareMax);
    spooled(0, 100);
    expect(backup.share).toBe(lagging);
    executed(50, at(140));
    backup.timer(at(150));
    expect(backup.share).toBe(0);
  });

  it('policy hold, and a backup far behind: the guest stands until half of that is made up', () => {
    const { backup, ship, executed } = serving('hold');
    backup.shipFrom(logPosition(0));
    executed(1, at(0));
    backup.granted(at(0));
    ship(run(0, limits.hardBacklogBytes + 1, 50));
    expect(backup.timer(at(10))).toBeUndefined();
    expect(backup.share).toBe(1);
    executed(50, at(20));
    backup.timer(at(30));
    expect(backup.share).toBe(0);
  });

  it('policy to run alone: it is given up, and that says why', () => {
    const { backup, ship, executed } = serving('runAlone');
    backup.shipFrom(logPosition(0));
    executed(1, at(0));
    backup.granted(at(0));
    ship(run(0, limits.hardBacklogBytes + 1, 50));
    expect(backup.timer(at(10))).toMatch(/bytes of log behind$/);
  });

  it('it is granted: told so, once, and silence is judged as usual from then on', () => {
    const { backup, said } = serving();
    backup.granted(at(0));
    expect(said()).toEqual(['grant']);
  });
});
